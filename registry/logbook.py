"""The program's own log: a line for each thing that happened, for people or as JSON, and never a secret in it.

Modules write with `logging`; what is bound in `structlog.contextvars` (the request, the job and its attempt) is on every line.
"""

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from registry.settings import Settings

FIELDS = ("method", "path", "status", "ms")  # of `extra`; other programs put whole requests there
_SECRETS = re.compile(
    r"""(?P<key>dlkd_[0-9a-f]{8}_)[\w-]+          # the prefix of a key tells whose it is
    | (?P<scheme>\b(?:Bearer|Basic)\s+)[\w.~+/=-]+
    | (?P<user>://[^\s/@:"']*:)[^\s/@"']+(?=@)    # the password of a URL
    | (?P<name>\b[\w-]*(?:password|secret|token|signature)=)[^\s&"'\\]+""",
    re.VERBOSE | re.IGNORECASE,
)


def open_log(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends everything that this process logs, its libraries' records too, to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(settings.log_format, colors=handler.stream.isatty()))
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    logging.captureWarnings(capture=True)


def masked(text: str) -> str:
    """The text without keys, passwords and tokens."""
    return _SECRETS.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    return f"{next(kept for kept in found.groups() if kept is not None)}***"


def _formatter(form: str, *, colors: bool) -> ProcessorFormatter:
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(FIELDS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # A plain traceback: the pretty ones show the values of variables.
    people = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    machines: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[ProcessorFormatter.remove_processors_meta, *(machines if form == "json" else [people]), _masked_line],
    )


def _masked_line(_logger: Any, _method: str, line: str | EventDict) -> str:
    return masked(str(line))
