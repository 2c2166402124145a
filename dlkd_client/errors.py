"""What can go wrong between a client and the service.

ClientError
├── Unreachable          nobody answers there
├── ProblemError         the service refused, and says why (RFC 9457)
├── DownloadCorrupt      the bytes are not those that the service announced
├── NotReady             an upload was found unfit, or a job did not succeed
├── MissingExtra         what was asked for needs more than the plain install
└── WaitedTooLong
"""

from typing import Any

import httpx


class ClientError(Exception):
    """The base; `str()` of it is fit for a person."""


class Unreachable(ClientError):
    pass


class DownloadCorrupt(ClientError):
    pass


class MissingExtra(ClientError):
    pass


class NotReady(ClientError):
    """`code` is the service's own, stable one."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class WaitedTooLong(ClientError):
    pass


class ProblemError(ClientError):
    """A refusal of the service. `code` is stable; `errors` has a JSON pointer, code and message for each bad field."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code", f"http_{status}"))
        self.message = str(document.get("detail") or document.get("title") or f"HTTP {status}")
        self.hint = str(document.get("hint", ""))
        self.errors: list[dict[str, Any]] = list(document.get("errors", []))
        self.request_id = document.get("request_id")
        super().__init__(self._words())

    def _words(self) -> str:
        fields = [
            f"  {entry.get('pointer') or entry.get('parameter') or 'request'}: {entry.get('message')}" for entry in self.errors
        ]
        return "\n".join(
            part for part in [self.message, *(fields if len(fields) > 1 else []), self.hint, f"({self.code})"] if part
        )


def problem_of(answer: httpx.Response) -> ProblemError:
    """The refusal in an answer, whatever its body is."""
    try:
        document = answer.json()
    except ValueError:
        document = {}
    return ProblemError(answer.status_code, document if isinstance(document, dict) else {})
