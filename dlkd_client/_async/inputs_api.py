"""Client methods for teachers and datasets."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dlkd_client._async.base_client import AsyncBaseClient
from dlkd_client._async.resumable_upload import CHUNK_BYTES, upload_file
from dlkd_client.concurrency import async_sleep
from dlkd_client.errors import NotReady, WaitTimeout
from dlkd_client.progress import ByteCallback
from dlkd_client.responses import Dataset, DatasetReport, Teacher, UploadedInput

_Upload = TypeVar("_Upload", bound=UploadedInput)


class AsyncInputsAPI(AsyncBaseClient):
    """Client methods for teachers and datasets."""

    async def upload_teacher(  # noqa: PLR0913 - the fields of the form
        self,
        path: Path | str,
        *,
        name: str | None = None,
        architecture: str | None = None,
        num_classes: int | None = None,
        output: str | None = None,
        normalization: Mapping[str, Any] | None = None,
        on_bytes: ByteCallback | None = None,
    ) -> Teacher:
        """Upload a teacher checkpoint.

        The service detects the architecture, the number of classes and the normalization if you
        omit them. Use `wait_until_ready` to wait until the service has checked the file. A large
        file is sent in chunks. If the upload is interrupted, call this method again to resume it.

        Args:
            path: Path of the checkpoint file.
            name: Display name.
            architecture: Name of the architecture in the catalog.
            num_classes: Number of classes of the classifier.
            output: Name of the output with the logits. ONNX graphs with several outputs only.
            normalization: `mean` and `std` of the input. Each is a list with one number per
                channel, in [0, 1].
            on_bytes: Called with the number of bytes transferred and the total number of bytes.
        """
        metadata = {
            "name": name,
            "architecture": architecture,
            "num_classes": num_classes,
            "output": output,
            "normalization": normalization,
        }
        return await self._upload("/v1/teachers", Path(path), metadata, Teacher, on_bytes)

    async def upload_dataset(
        self, path: Path | str, *, name: str | None = None, on_bytes: ByteCallback | None = None
    ) -> Dataset:
        """Upload a dataset.

        Args:
            path: Path of a zip, tar or tar.gz archive that contains train/<class>/... and
                val/<class>/..., or of a file in another format that the service reads.
            name: Display name.
            on_bytes: Called with the number of bytes transferred and the total number of bytes.
        """
        return await self._upload("/v1/datasets", Path(path), {"name": name}, Dataset, on_bytes)

    async def teacher(self, teacher_id: str) -> Teacher:
        """Return the teacher with the given id."""
        return await self.get(f"/v1/teachers/{teacher_id}", Teacher)

    async def dataset(self, dataset_id: str) -> Dataset:
        """Return the dataset with the given id."""
        return await self.get(f"/v1/datasets/{dataset_id}", Dataset)

    async def dataset_report(self, dataset_id: str) -> DatasetReport:
        """Return the report about the health of a dataset.

        Raises:
            ProblemError: The dataset has not been checked yet, or an earlier version of the service
                checked it.
        """
        return await self.get(f"/v1/datasets/{dataset_id}/report", DatasetReport)

    def teachers(self) -> AsyncIterator[Teacher]:
        """Yield all teachers, newest first."""
        return self.paginate("/v1/teachers", Teacher)

    def datasets(self) -> AsyncIterator[Dataset]:
        """Yield all datasets, newest first."""
        return self.paginate("/v1/datasets", Dataset)

    async def delete_teacher(self, teacher_id: str, *, force: bool = False) -> None:
        """Delete a teacher and its file.

        Set `force` to delete the teacher even if the lineage of a model refers to it.
        """
        await self.send(
            "DELETE", f"/v1/teachers/{teacher_id}", params={"force": True} if force else {}
        )

    async def delete_dataset(self, dataset_id: str, *, force: bool = False) -> None:
        """Delete a dataset and its files.

        Set `force` to delete the dataset even if the lineage of a model refers to it.
        """
        await self.send(
            "DELETE", f"/v1/datasets/{dataset_id}", params={"force": True} if force else {}
        )

    async def wait_until_ready(
        self, upload: _Upload, *, timeout: float = 3600, poll_seconds: float = 0.3
    ) -> _Upload:
        """Wait until a teacher or dataset has been checked and return its new state.

        Raises:
            NotReady: The check rejected the file.
            WaitTimeout: The check did not finish within `timeout` seconds.
        """
        path = f"/v1/{'teachers' if isinstance(upload, Teacher) else 'datasets'}/{upload.id}"
        deadline = time.monotonic() + timeout
        while not upload.is_checked:
            if time.monotonic() > deadline:
                raise WaitTimeout(
                    f"The check of {upload.id} did not end within {timeout:.0f} s. "
                    "Is a worker running?"
                )
            await async_sleep(poll_seconds)
            upload = await self.get(path, type(upload))
        if upload.status != "ready":
            raise NotReady(
                f"{upload.name or upload.id}: {upload.error}",
                code=upload.error.code if upload.error else upload.status,
            )
        return upload

    async def _upload(
        self,
        path: str,
        file: Path,
        metadata: Mapping[str, Any],
        model_type: type[_Upload],
        on_bytes: ByteCallback | None,
    ) -> _Upload:
        fields = {name: value for name, value in metadata.items() if value is not None}
        if file.stat().st_size > CHUNK_BYTES:
            fields["upload_id"] = await upload_file(self, file, on_bytes)
            return self.parse(await self.send("POST", path, json=fields), model_type)
        content = file.read_bytes()
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in fields.items()
        }
        response = await self.send(
            "POST",
            path,
            data=texts,
            files={"file": (file.name, content, "application/octet-stream")},
        )
        if on_bytes is not None:
            on_bytes(len(content), len(content))
        return self.parse(response, model_type)
