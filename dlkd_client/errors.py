"""Errors that the client raises.

ClientError
├── ServiceUnreachable   no response from the service
├── ProblemError         the service refused the request and says why (RFC 9457)
├── DownloadCorrupt      the downloaded bytes do not match the sha256 that the service announced
├── NotReady             the upload failed its check, or the job has not produced a model
├── MissingExtra         the call needs an optional dependency
└── WaitTimeout          a job or check did not end in time
"""

from typing import Any

import httpx


class ClientError(Exception):
    """Base class of all client errors. `str(error)` returns a readable message."""


class ServiceUnreachable(ClientError):
    pass


class DownloadCorrupt(ClientError):
    pass


class MissingExtra(ClientError):
    pass


class NotReady(ClientError):
    """The result is unavailable: the upload failed its check, or no job has produced a model.

    `code` does not change between releases.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class WaitTimeout(ClientError):
    pass


class ProblemError(ClientError):
    """The service refused the request (RFC 9457).

    Attributes:
        status: The HTTP status.
        code: The error code. It does not change between releases.
        errors: One entry for each invalid field, with a JSON pointer, code and message.
    """

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code", f"http_{status}"))
        self.message = str(document.get("detail") or document.get("title") or f"HTTP {status}")
        self.hint = str(document.get("hint", ""))
        self.errors: list[dict[str, Any]] = list(document.get("errors", []))
        self.request_id = document.get("request_id")
        super().__init__(self._format_message())

    def _format_message(self) -> str:
        fields = []
        for entry in self.errors:
            location = entry.get("pointer") or entry.get("parameter") or "request"
            fields.append(f"  {location}: {entry.get('message')}")
        details = fields if len(fields) > 1 else []
        lines = [self.message, *details, self.hint, f"({self.code})"]
        return "\n".join(line for line in lines if line)


def problem_from_response(response: httpx.Response) -> ProblemError:
    """Build the error for a refused request. The body of the response need not be JSON."""
    try:
        document = response.json()
    except ValueError:
        document = {}
    return ProblemError(response.status_code, document if isinstance(document, dict) else {})
