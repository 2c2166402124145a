"""`multipart/form-data` read as it comes: parts in order, each an iterator of bytes; memory stays that of one chunk."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from registry.errors import Unfit

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 32
MAX_TEXT_BYTES = 64 * 1024
_BEGIN, _DATA, _END = "begin", "data", "end"
_Happening = tuple[str, bytes]


class FormInvalid(Unfit):
    """The body is not the form that the path takes."""

    code = "form_invalid"
    default_hint = "Send multipart/form-data with a part called file; /openapi.json describes every part."


@dataclass(frozen=True)
class Part:
    """One part of the form: a text field, or a file where it has a file name. `data` can be read once, in order."""

    name: str
    filename: str | None
    data: Iterator[bytes]

    def text(self) -> str:
        """The whole part as text, which fields are."""
        content = b""
        for piece in self.data:
            content += piece
            if len(content) > MAX_TEXT_BYTES:
                raise FormInvalid(f"The field {self.name} is longer than {MAX_TEXT_BYTES} bytes.", pointer=f"/{self.name}")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise FormInvalid(f"The field {self.name} is not UTF-8.", pointer=f"/{self.name}") from error


def parts(content_type: str, chunks: Iterator[bytes]) -> Iterator[Part]:
    """The parts of the form in the order in which they come. A part that was not read to its end is skipped over."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise FormInvalid("The body is not multipart/form-data.")
    happenings = _happenings(options[b"boundary"], chunks)
    count = 0
    for what, header in happenings:
        if what != _BEGIN:
            continue  # what is left of a part that nobody read
        count += 1
        if count > MAX_PARTS:
            raise FormInvalid(f"The form has more than {MAX_PARTS} parts.")
        _, names = parse_options_header(header)
        if b"name" not in names:
            raise FormInvalid("A part of the form has no name.")
        filename = names.get(b"filename")
        yield Part(_decoded(names[b"name"]), None if filename is None else _decoded(filename), _data(happenings))


def _data(happenings: Iterator[_Happening]) -> Iterator[bytes]:
    for what, piece in happenings:
        if what == _END:
            return
        yield piece


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _happenings(boundary: bytes, chunks: Iterator[bytes]) -> Iterator[_Happening]:
    """What the parser finds, chunk by chunk: (begin, content-disposition), (data, bytes), (end, nothing)."""
    found = _Found()
    try:
        parser = MultipartParser(boundary, found.callbacks())
        for chunk in chunks:
            parser.write(chunk)
            while found.queue:
                yield found.queue.popleft()
        parser.finalize()
    except FormParserError as error:
        raise FormInvalid(f"The form is cut off or malformed: {error}") from error
    if not found.ended:
        raise FormInvalid("The form is cut off: its last boundary is missing.")


class _Found:
    """Collects what the parser calls out while it reads one chunk."""

    def __init__(self) -> None:
        self.queue: deque[_Happening] = deque()
        self.ended = False
        self._name = b""
        self._value = b""
        self._disposition = b""

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._name_grows,
            "on_header_value": self._value_grows,
            "on_header_end": self._header_ends,
            "on_headers_finished": lambda: self.queue.append((_BEGIN, self._disposition)),
            "on_part_data": lambda data, start, end: self.queue.append((_DATA, data[start:end])),
            "on_part_end": lambda: self.queue.append((_END, b"")),
            "on_end": self._all_ends,
        }

    def _part_begins(self) -> None:
        self._name = self._value = self._disposition = b""

    def _name_grows(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _value_grows(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _all_ends(self) -> None:
        self.ended = True
