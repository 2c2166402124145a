"""Parquet and Arrow files, read in batches of rows.

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from dlkd_core.errors import ArchiveUnreadable
from dlkd_core.memory_limits import raise_if_out_of_memory

_BATCH_ROWS = 64  # small, because photographs are large
_BUFFER_BYTES = 1 << 20
_ARROW_FILE_MAGIC = b"ARROW1"  # files without it are streams


# pyarrow's own errors, and what it raises for damaged pages, invalid text and huge allocations
_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)


class ColumnarFile(Protocol):
    """A file of columns. Rows are read with `iter_batches`."""

    schema: Any

    def count_rows(self) -> int: ...
    def iter_batches(self, columns: Sequence[str]) -> Iterator[Any]: ...


class _ParquetFile:
    def __init__(self, file: IO[bytes], name: PurePosixPath) -> None:
        self._name = name
        with read_errors(name):
            self._file = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
            self.schema = self._file.schema_arrow

    def count_rows(self) -> int:
        return int(self._file.metadata.num_rows)

    def iter_batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with read_errors(self._name):
            yield from self._file.iter_batches(_BATCH_ROWS, columns=list(columns))


class _ArrowFile:
    """An Arrow IPC file or stream. Its batches can be large, so they are cut into smaller ones."""

    def __init__(self, file: IO[bytes], name: PurePosixPath) -> None:
        self._file, self._name = file, name
        with read_errors(name):
            self._is_stream = file.read(len(_ARROW_FILE_MAGIC)) != _ARROW_FILE_MAGIC
            self.schema = self._open().schema

    def count_rows(self) -> int:
        with read_errors(self._name):
            return sum(len(batch) for batch in self._read())

    def iter_batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with read_errors(self._name):
            for batch in self._read():
                selected = batch.select(list(columns))
                selected.validate(full=True)  # the offsets in an upload may point anywhere
                for row in range(0, len(selected), _BATCH_ROWS):
                    yield selected.slice(row, _BATCH_ROWS)

    def _open(self) -> Any:
        self._file.seek(0)
        return (pa.ipc.open_stream if self._is_stream else pa.ipc.open_file)(self._file)

    def _read(self) -> Iterator[Any]:
        reader = self._open()
        if self._is_stream:
            yield from reader
        else:
            yield from (reader.get_batch(index) for index in range(reader.num_record_batches))


COLUMNAR_SUFFIXES: dict[str, type[_ParquetFile | _ArrowFile]] = {
    ".parquet": _ParquetFile,
    ".arrow": _ArrowFile,
}


def open_columnar_file(file: IO[bytes], name: PurePosixPath) -> ColumnarFile:
    """Open a seekable Parquet or Arrow file. Its suffix must be in `COLUMNAR_SUFFIXES`.

    Raises:
        ArchiveUnreadable: The file is damaged. This can also happen while rows are read.
    """
    return COLUMNAR_SUFFIXES[name.suffix.lower()](file, name)


@contextmanager
def read_errors(name: PurePosixPath) -> Iterator[None]:
    """Raise `ArchiveUnreadable` for what pyarrow raises for a damaged file."""
    try:
        yield
    except _ERRORS as error:
        raise_if_out_of_memory(error, str(name))
        raise ArchiveUnreadable(
            f"{name} cannot be read: {error}", hint="Write the file again."
        ) from error
