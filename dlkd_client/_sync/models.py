"""Models: found, compared, named, downloaded, loaded."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic import PrivateAttr

from dlkd_client import answers
from dlkd_client._sync.connection import Connection
from dlkd_client._sync.download import fetch
from dlkd_client.errors import NotReady
from dlkd_client.loading import OnnxModel, cached, load_onnx, load_torch
from dlkd_client.progress import Bars, Watcher
from dlkd_client.waiting import aside

if TYPE_CHECKING:
    from torch import nn

    from dlkd_client._sync.client import Client
    from dlkd_client._sync.jobs import Job


class Model(answers.Model):
    """A model, which can be downloaded and loaded."""

    _client: "Client" = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Remembers whom to ask."""
        self._client = context

    def job(self) -> "Job":
        """The job that made it; `NotReady` where it was imported."""
        if self.job_id is None:
            raise NotReady(f"No job of this service made {self.id}: it was imported.", code="imported")
        return self._client.job(self.job_id)

    def download(self, target: Path | str = ".", names: list[str] | None = None, *, progress: bool = False) -> list[Path]:
        """Brings its files (or those of these names) into a folder, checks them, and says where they are."""
        Path(target).mkdir(parents=True, exist_ok=True)
        wanted = [self.file(name) for name in names] if names else self.files
        with Bars() if progress else nullcontext() as bars:
            return [
                self._client.download(
                    self, file.name, Path(target), on_bytes=bars.line(file.name).bytes if bars is not None else None
                )
                for file in wanted
            ]

    @overload
    def load(self, format: Literal["torch"] = "torch") -> "nn.Module": ...
    @overload
    def load(self, format: Literal["onnx", "onnx_fp16", "onnx_int8"]) -> OnnxModel: ...

    def load(self, format: str = "torch") -> "nn.Module | OnnxModel":  # noqa: A002 - the word of the service
        """The model, ready to use: images (batch, 3, H, W), float32 RGB in [0, 1], to logits (batch, classes).

        As a torch module, or as ONNX by onnxruntime. The file is kept in the user's cache folder under its digest.
        `MissingExtra` says what to install.
        """
        file = self.of_format("safetensors" if format == "torch" else format)
        path = cached(file.sha256, Path(file.name).suffix)
        if not path.exists():
            self._client.download(self, file.name, path)
        if format == "torch":
            return aside(load_torch, path, self.classes)
        return aside(load_onnx, path, self.classes)


class Models(Connection):
    """What the client can do with models."""

    def model(self, model: str) -> Model:
        """The model of that id, or name@alias, name@version, name@latest."""
        return self.get(f"/v1/models/{model}", Model)

    def models(self, **filters: str | list[str] | None) -> Iterator[Model]:
        """All models, the newest first; those that meet all filters of GET /v1/models (name, tag, teacher, dataset)."""
        return self.pages("/v1/models", Model, **filters)

    def compare(self, *models: str) -> dict[str, Any]:
        """Models side by side: 2 to 20 ids or names with an alias or version."""
        answer: dict[str, Any] = (self.send("GET", "/v1/models/compare", params={"ids": ",".join(models)})).json()
        return answer

    def lineage(self, model: str) -> dict[str, Any]:
        """What led to the model, as nodes and edges."""
        answer: dict[str, Any] = (self.send("GET", f"/v1/models/{model}/lineage")).json()
        return answer

    def point(self, name: str, alias: str, model: str) -> None:
        """Points the alias at a version of the name."""
        self.send("PUT", f"/v1/registry/{name}/aliases/{alias}", json={"model": model})

    def delete_alias(self, name: str, alias: str) -> None:
        """Takes the alias away; the model stays."""
        self.send("DELETE", f"/v1/registry/{name}/aliases/{alias}")

    def delete_model(self, model: str, *, force: bool = False) -> None:
        """Deletes a model and its files; with `force` also where an alias or a student names it."""
        self.send("DELETE", f"/v1/models/{model}", params={"force": True} if force else {})

    def download(self, model: answers.Model | str, name: str, target: Path, *, on_bytes: Watcher | None = None) -> Path:
        """Brings a file of a model to `target` (a file, or a folder that exists) and checks its sha256.

        What an earlier try left there is gone on with; `on_bytes` is told how many bytes of how many are here. `DownloadCorrupt`
        where other bytes came than the service announced.
        """
        found = self.model(model) if isinstance(model, str) else model
        file = found.file(name)
        path = target / name if target.is_dir() else target
        return fetch(self.http, f"/v1/models/{found.id}/files/{name}", path, file=file, on_bytes=on_bytes)
