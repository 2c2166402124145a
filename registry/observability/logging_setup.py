"""Logging to standard error, as text for people or as JSON. Secrets are masked.

Modules log with `logging`. Values bound in `structlog.contextvars` (the request, the job and its
attempt) are added to every line.
"""

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from registry.settings import Settings

# Keys of `extra` that are logged. Others are dropped, because libraries pass entire requests.
EXTRA_FIELDS = ("method", "path", "status", "ms")
_SECRET_PATTERN = re.compile(
    r"""(?P<key>dlkd_[0-9a-f]{8}_)[\w-]+          # keeps the key's prefix, which identifies it
    | (?P<scheme>\b(?:Bearer|Basic)\s+)[\w.~+/=-]+
    | (?P<user>://[^\s/@:"']*:)[^\s/@"']+(?=@)    # the password in a URL
    | (?P<name>\b[\w-]*(?:password|secret|token|signature)=)[^\s&"'\\]+""",
    re.VERBOSE | re.IGNORECASE,
)


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all log records of this process, including those of libraries, to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_make_formatter(settings.log_format, colors=handler.stream.isatty()))
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    logging.captureWarnings(capture=True)


def mask_secrets(text: str) -> str:
    """Return the text with API keys, passwords and tokens masked."""
    return _SECRET_PATTERN.sub(_mask_match, text)


def _mask_match(match: re.Match[str]) -> str:
    visible_prefix = next(group for group in match.groups() if group is not None)
    return f"{visible_prefix}***"


def _make_formatter(log_format: str, *, colors: bool) -> ProcessorFormatter:
    pre_chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(EXTRA_FIELDS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks are plain, because the pretty ones show the values of variables.
    console_renderer = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )
    json_renderers: list[Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    return ProcessorFormatter(
        foreign_pre_chain=pre_chain,
        processors=[
            ProcessorFormatter.remove_processors_meta,
            *(json_renderers if log_format == "json" else [console_renderer]),
            _mask_line,
        ],
    )


def _mask_line(_logger: Any, _method: str, line: str | EventDict) -> str:
    return mask_secrets(str(line))
