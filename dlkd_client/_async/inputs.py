"""What students learn from and on: teachers and data sets."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dlkd_client._async.connection import AsyncConnection
from dlkd_client._async.upload import PIECE, send_file
from dlkd_client.answers import Dataset, Teacher, Upload
from dlkd_client.errors import NotReady, WaitedTooLong
from dlkd_client.progress import Watcher
from dlkd_client.waiting import async_sleep

_U = TypeVar("_U", bound=Upload)


class AsyncInputs(AsyncConnection):
    """What the client can do with teachers and data sets."""

    async def upload_teacher(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        architecture: str | None = None,
        num_classes: int | None = None,
        normalization: Mapping[str, Any] | None = None,
        on_bytes: Watcher | None = None,
    ) -> Teacher:
        """Sends a checkpoint. What is left out is recognised by the service; `ready` waits until it has looked.

        `on_bytes` is told how many bytes of how many have arrived. A large file goes in pieces, and a later try goes on.
        """
        told = {"name": name, "architecture": architecture, "num_classes": num_classes, "normalization": normalization}
        return await self._upload("/v1/teachers", Path(path), told, Teacher, on_bytes)

    async def upload_dataset(self, path: Path | str, *, name: str | None = None, on_bytes: Watcher | None = None) -> Dataset:
        """Sends a zip, tar or tar.gz of train/<class>/... and val/<class>/..., or another archive that the service takes."""
        return await self._upload("/v1/datasets", Path(path), {"name": name}, Dataset, on_bytes)

    async def teacher(self, teacher_id: str) -> Teacher:
        """The teacher of that id."""
        return await self.get(f"/v1/teachers/{teacher_id}", Teacher)

    async def dataset(self, dataset_id: str) -> Dataset:
        """The data set of that id."""
        return await self.get(f"/v1/datasets/{dataset_id}", Dataset)

    def teachers(self) -> AsyncIterator[Teacher]:
        """All teachers, the newest first."""
        return self.pages("/v1/teachers", Teacher)

    def datasets(self) -> AsyncIterator[Dataset]:
        """All data sets, the newest first."""
        return self.pages("/v1/datasets", Dataset)

    async def delete_teacher(self, teacher_id: str, *, force: bool = False) -> None:
        """Deletes a teacher and its file; with `force` also where the lineage of a model names it."""
        await self.send("DELETE", f"/v1/teachers/{teacher_id}", params={"force": True} if force else {})

    async def delete_dataset(self, dataset_id: str, *, force: bool = False) -> None:
        """Deletes a data set and its files; with `force` also where the lineage of a model names it."""
        await self.send("DELETE", f"/v1/datasets/{dataset_id}", params={"force": True} if force else {})

    async def ready(self, upload: _U, *, timeout: float = 3600, poll: float = 0.3) -> _U:
        """The same teacher or data set once it was checked; `NotReady` with the reason where it was found unfit."""
        path = f"/v1/{'teachers' if isinstance(upload, Teacher) else 'datasets'}/{upload.id}"
        until = time.monotonic() + timeout
        while not upload.checked:
            if time.monotonic() > until:
                raise WaitedTooLong(f"{upload.id} is still being checked after {timeout:.0f} s. Is a worker running?")
            await async_sleep(poll)
            upload = await self.get(path, type(upload))
        if upload.status != "ready":
            raise NotReady(
                f"{upload.name or upload.id}: {upload.error}", code=upload.error.code if upload.error else upload.status
            )
        return upload

    async def _upload(self, path: str, file: Path, told: Mapping[str, Any], kind: type[_U], on_bytes: Watcher | None) -> _U:
        fields = {name: value for name, value in told.items() if value is not None}
        if file.stat().st_size > PIECE:
            fields["upload_id"] = await send_file(self, file, on_bytes)
            return self.read(await self.send("POST", path, json=fields), kind)
        content = file.read_bytes()
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        answer = await self.send("POST", path, data=texts, files={"file": (file.name, content, "application/octet-stream")})
        if on_bytes is not None:
            on_bytes(len(content), len(content))
        return self.read(answer, kind)
