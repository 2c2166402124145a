"""Streaming parser of `multipart/form-data`.

Parts are yielded in order, each with an iterator over its bytes. At most one chunk of the body is
held in memory.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from registry.errors import UnprocessableRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 32
MAX_TEXT_BYTES = 64 * 1024


class FormInvalid(UnprocessableRequest):
    """The body is not a valid form for this path."""

    code = "form_invalid"
    default_hint = (
        "Send multipart/form-data with a part named `file`; /openapi.json describes every part."
    )


@dataclass(frozen=True)
class FormPart:
    """A part of the form: a text field, or a file if it has a filename.

    The data can be read only once.
    """

    name: str
    filename: str | None
    data: Iterator[bytes]

    def read_text(self) -> str:
        """Return the whole part as text.

        Raises:
            FormInvalid: The part is too long or not UTF-8.
        """
        content = b""
        for chunk in self.data:
            content += chunk
            if len(content) > MAX_TEXT_BYTES:
                raise FormInvalid(
                    f"The field {self.name} is longer than {MAX_TEXT_BYTES} bytes.",
                    pointer=f"/{self.name}",
                )
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise FormInvalid(
                f"The field {self.name} is not UTF-8.", pointer=f"/{self.name}"
            ) from error


def iter_parts(content_type: str, chunks: Iterator[bytes]) -> Iterator[FormPart]:
    """Yield the parts of the form in order.

    Data that the caller has not read from a part is skipped.

    Raises:
        FormInvalid: The body is not a well-formed multipart form.
    """
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise FormInvalid("The body is not multipart/form-data.")
    events = _iter_parser_events(options[b"boundary"], chunks)
    beginnings = (event for event in events if event.kind == _EventKind.BEGIN)
    for count, event in enumerate(beginnings, 1):
        if count > MAX_PARTS:
            raise FormInvalid(f"The form has more than {MAX_PARTS} parts.")
        _, parameters = parse_options_header(event.data)
        if b"name" not in parameters:
            raise FormInvalid("A part of the form has no name.")
        filename = parameters.get(b"filename")
        yield FormPart(
            _decode(parameters[b"name"]),
            None if filename is None else _decode(filename),
            _iter_part_data(events),
        )


def sanitize_filename(filename: str | None) -> str:
    """Return the last component of a client's filename.

    The name is only displayed. The service never opens a file with this name.
    """
    name = PurePosixPath((filename or "").replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[-200:] or "file"


class _EventKind(Enum):
    BEGIN = auto()  # data: the Content-Disposition header
    DATA = auto()
    END = auto()


class _ParserEvent(NamedTuple):
    kind: _EventKind
    data: bytes = b""


def _iter_part_data(events: Iterator[_ParserEvent]) -> Iterator[bytes]:
    for event in events:
        if event.kind == _EventKind.END:
            return
        yield event.data


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _iter_parser_events(boundary: bytes, chunks: Iterator[bytes]) -> Iterator[_ParserEvent]:
    callbacks = _ParserCallbacks()
    try:
        parser = MultipartParser(boundary, callbacks.as_dict())
        for chunk in chunks:
            parser.write(chunk)
            while callbacks.events:
                yield callbacks.events.popleft()
        parser.finalize()
    except FormParserError as error:
        raise FormInvalid(f"The form is truncated or malformed: {error}") from error
    if not callbacks.ended:
        raise FormInvalid("The form is truncated: its closing boundary is missing.")


class _ParserCallbacks:
    """Parser callbacks that collect the events of one chunk."""

    def __init__(self) -> None:
        self.events: deque[_ParserEvent] = deque()
        self.ended = False
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""

    def as_dict(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._header_name = self._header_value = self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        self.events.append(_ParserEvent(_EventKind.BEGIN, self._disposition))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.events.append(_ParserEvent(_EventKind.DATA, data[start:end]))

    def _on_part_end(self) -> None:
        self.events.append(_ParserEvent(_EventKind.END))

    def _on_end(self) -> None:
        self.ended = True
