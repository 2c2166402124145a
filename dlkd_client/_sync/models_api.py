"""Client methods for models."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic import PrivateAttr

from dlkd_client import responses
from dlkd_client._sync.base_client import BaseClient
from dlkd_client._sync.download import download_file
from dlkd_client.concurrency import run_in_thread
from dlkd_client.errors import NotReady
from dlkd_client.file_cache import cached_model_path
from dlkd_client.model_loader import OnnxModel, load_onnx, load_torch
from dlkd_client.progress import ByteCallback, ProgressBars

if TYPE_CHECKING:
    from torch import nn

    from dlkd_client._sync.api_client import Client
    from dlkd_client._sync.jobs_api import Job


class Model(responses.Model):
    """A model that can be downloaded and loaded."""

    _client: "Client" = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._client = context

    def job(self) -> "Job":
        """Return the job that trained the model.

        Raises:
            NotReady: The model was imported, so no job of this service trained it.
        """
        if self.job_id is None:
            raise NotReady(
                f"{self.id} was imported: no job of this service trained it.", code="imported"
            )
        return self._client.job(self.job_id)

    def download(
        self, target: Path | str = ".", names: list[str] | None = None, *, progress: bool = False
    ) -> list[Path]:
        """Download the model's files, or only those in `names`, and return their paths.

        The files are written to the folder `target`. Each is checked against its sha256.
        """
        Path(target).mkdir(parents=True, exist_ok=True)
        files = [self.file(name) for name in names] if names else self.files
        with ProgressBars() if progress else nullcontext() as bars:
            return [
                self._client.download(
                    self,
                    file.name,
                    Path(target),
                    on_bytes=bars.add_line(file.name).show_bytes if bars is not None else None,
                )
                for file in files
            ]

    @overload
    def load(self, format: Literal["torch"] = "torch") -> "nn.Module": ...
    @overload
    def load(self, format: Literal["onnx", "onnx_fp16", "onnx_int8"]) -> OnnxModel: ...

    def load(self, format: str = "torch") -> "nn.Module | OnnxModel":  # noqa: A002 - named as in the API
        """Load the model as a torch module or, if `format` is "onnx", as an `OnnxModel`.

        The model maps float32 images (batch, C, H, W) in [0, 1] to logits (batch, classes). The
        downloaded file is kept in the user's cache folder.

        Raises:
            MissingExtra: An optional dependency is not installed.
        """
        file = self.file_by_format("safetensors" if format == "torch" else format)
        path = cached_model_path(file.sha256, Path(file.name).suffix)
        if not path.exists():
            self._client.download(self, file.name, path)
        if format == "torch":
            return run_in_thread(load_torch, path, self.classes)
        return run_in_thread(load_onnx, path, self.classes)


class ModelsAPI(BaseClient):
    """Client methods for models."""

    def model(self, model: str) -> Model:
        """Return a model by its id, or by name@alias, name@version or name@latest."""
        return self.get(f"/v1/models/{model}", Model)

    def models(self, **filters: str | list[str] | None) -> Iterator[Model]:
        """Yield the models that match all filters, newest first.

        The filters are the query parameters of `GET /v1/models`: name, tag, teacher, dataset.
        """
        return self.paginate("/v1/models", Model, **filters)

    def compare(self, *models: str) -> dict[str, Any]:
        """Compare 2 to 20 models, given as ids or as names with an alias or version."""
        return self.send_json("GET", "/v1/models/compare", params={"ids": ",".join(models)})

    def lineage(self, model: str) -> dict[str, Any]:
        """Return the model's lineage as nodes and edges."""
        return self.send_json("GET", f"/v1/models/{model}/lineage")

    def set_alias(self, name: str, alias: str, model: str) -> None:
        """Point an alias at a version of the named model."""
        self.send("PUT", f"/v1/registry/{name}/aliases/{alias}", json={"model": model})

    def delete_alias(self, name: str, alias: str) -> None:
        """Delete an alias. The model is kept."""
        self.send("DELETE", f"/v1/registry/{name}/aliases/{alias}")

    def delete_model(self, model: str, *, force: bool = False) -> None:
        """Delete a model and its files.

        Set `force` to delete the model even if an alias or a student refers to it.
        """
        self.send("DELETE", f"/v1/models/{model}", params={"force": True} if force else {})

    def download(
        self,
        model: responses.Model | str,
        name: str,
        target: Path,
        *,
        on_bytes: ByteCallback | None = None,
    ) -> Path:
        """Download a model file and check its sha256.

        An interrupted download is resumed.

        Args:
            model: The model or its id.
            name: Name of the file.
            target: Path of the new file, or an existing folder.
            on_bytes: Called with the number of bytes transferred and the total number of bytes.

        Raises:
            DownloadCorrupt: The bytes do not match the sha256 that the service announced.
        """
        resolved = self.model(model) if isinstance(model, str) else model
        file = resolved.file(name)
        path = target / name if target.is_dir() else target
        return download_file(
            self.http, f"/v1/models/{resolved.id}/files/{name}", path, file=file, on_bytes=on_bytes
        )
