"""Every error as `application/problem+json` (RFC 9457) with a stable `code`: the only place that knows what HTTP makes of one."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import allowed
from api.pointers import field_problems
from dlkd_core.errors import DistillationError
from registry import errors as known
from registry import upload_errors as uploads

MEDIA_TYPE = "application/problem+json"
CHECKSUM_MISMATCH = 460  # tus's own

_STATUS: dict[type[Exception], int] = {
    known.NotFound: 404,
    known.Unauthenticated: 401,
    known.Forbidden: 403,
    known.Conflict: 409,
    known.Unfit: 422,
    known.UploadTooLarge: 413,
    known.RateExceeded: 429,
    known.StoreError: 503,
    known.DatabaseBehind: 503,
    uploads.UploadLocked: 423,
    uploads.ChecksumUnknown: 400,
    uploads.ChecksumDiffers: CHECKSUM_MISMATCH,
    known.RegistryError: 500,
    DistillationError: 422,
}
_PARAMETERS: dict[type[Exception], str] = {
    known.CursorInvalid: "cursor",
    known.LabelMalformed: "label",
    known.ComparisonSize: "ids",
}  # in the query
# What the framework refuses by itself: the code and what to do.
_FRAMEWORK = {
    400: ("bad_request", "Send a well-formed request; /openapi.json describes every one."),
    404: ("no_such_path", "/openapi.json lists every path."),
    405: ("method_not_allowed", "The Allow header names the methods of this path."),
    413: ("body_too_large", "Send less, or ask the operator to raise the limit."),
    412: ("tus_version", "Send the header `Tus-Resumable: 1.0.0`; OPTIONS /v1/uploads tells what is spoken."),
    416: ("range_not_satisfiable", "Ask for a part that the file has; Content-Range tells its size."),
    415: ("media_type_unsupported", "/openapi.json names the media type of every body."),
}
_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one part of the request."""

    pointer: str | None = Field(None, description="JSON pointer into the body, or /name of a form field")
    parameter: str | None = Field(None, description="Name of the query parameter, header or path part")
    code: str
    message: str


class Problem(BaseModel):
    """Why a request was refused."""

    type: str = "about:blank"
    title: str = Field(description="The status in words")
    status: int
    code: str = Field(description="Stable: programs may compare it")
    detail: str = Field(description="The facts, for people")
    hint: str = Field("", description="What to do")
    errors: list[FieldProblem] = Field(default_factory=list, description="One entry for each bad field")
    request_id: str | None = Field(None, description="Also in the header X-Request-Id and in the server's log")


def problem(status: int, code: str, detail: str, *, hint: str = "", errors: list[FieldProblem] | None = None) -> Problem:
    """A problem document; the title follows from the status."""
    title = "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase
    return Problem(title=title, status=status, code=code, detail=detail, hint=hint, errors=errors or [])


def answer(document: Problem, request_id: str | None, headers: Mapping[str, str] | None = None) -> Response:
    """The response that carries the problem."""
    body = document.model_copy(update={"request_id": request_id}).model_dump_json()
    response = Response(body, document.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)
    if request_id:
        response.headers["X-Request-Id"] = request_id
    if document.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def of_known(error: known.RegistryError | DistillationError) -> Problem:
    """The problem of an error of our own: its class gives the status, itself the rest."""
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    fields = [] if error.pointer is None else [FieldProblem(pointer=error.pointer, code=error.code, message=error.message)]
    parameter = _PARAMETERS.get(type(error))
    if parameter is not None:
        fields = [FieldProblem(parameter=parameter, code=error.code, message=error.message)]
    return problem(status, error.code, error.message, hint=error.hint, errors=fields)


def of_framework(error: HTTPException, method: str, path: str) -> Problem:
    """The problem of what the framework refuses before a route is reached."""
    code, hint = _FRAMEWORK.get(error.status_code, (HTTPStatus(error.status_code).name.lower(), ""))
    detail = {404: f"There is no {path}.", 405: f"{path} does not take {method}."}.get(error.status_code, str(error.detail))
    return problem(error.status_code, code, detail, hint=hint)


def of_validation(error: RequestValidationError) -> Problem:
    """The problem of a request that does not fit its schema: one entry for each bad field."""
    fields = [FieldProblem(**entry) for entry in field_problems(error.errors(), error.body)]
    first = fields[0]
    where = first.pointer or first.parameter
    more = f" ({len(fields) - 1} more below)" if len(fields) > 1 else ""
    hint = next(
        (hint for entry in error.errors() if (hint := entry.get("ctx", {}).get("hint"))), "Correct the fields named in errors."
    )
    return problem(
        422, "request_invalid", f"{where}: {first.message}{more}" if where else first.message + more, hint=hint, errors=fields
    )


def _headers(error: Exception) -> dict[str, str]:
    """What a client needs to go on, where it looks for it."""
    if isinstance(error, uploads.OffsetDiffers):
        return {"Upload-Offset": str(error.received)}
    return {"Retry-After": "1"} if isinstance(error, uploads.UploadLocked) else {}


def request_id_of(request: Request) -> str | None:
    """The request's name in logs and answers."""
    return getattr(request.state, "request_id", None)


def install(app: FastAPI) -> None:
    """Registers the handlers of all errors."""

    def ours(request: Request, error: Any) -> Response:
        return answer(of_known(error), request_id_of(request), _headers(error))

    def framework(request: Request, error: Any) -> Response:
        headers = error.headers if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED else {"Allow": allowed.methods(request)}
        return answer(of_framework(error, request.method, request.url.path), request_id_of(request), headers)

    def validation(request: Request, error: Any) -> Response:
        return answer(of_validation(error), request_id_of(request))

    def unexpected(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed (request %s)", request.method, request.url.path, request_id_of(request), exc_info=error)
        detail = "The server failed; its log holds the reason under this request_id."
        return answer(problem(500, "internal", detail, hint="Try again; if it stays, tell the operator."), request_id_of(request))

    app.add_exception_handler(known.RegistryError, ours)
    app.add_exception_handler(DistillationError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unexpected)
