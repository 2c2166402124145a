"""Error responses as `application/problem+json` (RFC 9457) with a stable `code`.

This is the only module that maps errors to HTTP status codes.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from dlkd_core.errors import DistillationError
from registry import errors as registry_errors
from registry.uploads import upload_errors

MEDIA_TYPE = "application/problem+json"
CHECKSUM_MISMATCH = 460  # defined by the tus protocol
HTTP_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

_STATUS_CODES: dict[type[Exception], int] = {
    registry_errors.NotFound: 404,
    registry_errors.Unauthenticated: 401,
    registry_errors.Forbidden: 403,
    registry_errors.Conflict: 409,
    registry_errors.UnprocessableRequest: 422,
    registry_errors.UploadTooLarge: 413,
    registry_errors.RateLimitExceeded: 429,
    registry_errors.StoreError: 503,
    registry_errors.DatabaseOutdated: 503,
    upload_errors.UploadLocked: 423,
    upload_errors.ChecksumUnsupported: 400,
    upload_errors.ChecksumMismatch: CHECKSUM_MISMATCH,
    registry_errors.RegistryError: 500,
    DistillationError: 422,
}
# Errors that concern a query parameter instead of a field of the body.
_QUERY_PARAMETERS: dict[type[Exception], str] = {
    registry_errors.CursorInvalid: "cursor",
    registry_errors.LabelInvalid: "label",
    registry_errors.ComparisonSizeInvalid: "ids",
}
# Code and hint for errors that the framework raises before a route is reached.
_HTTP_ERRORS = {
    400: ("bad_request", "Check the request against /openapi.json."),
    404: ("no_such_path", "See /openapi.json for all paths."),
    405: ("method_not_allowed", "The Allow header lists the methods of this path."),
    413: ("body_too_large", "Send a smaller body, or ask the operator to raise the limit."),
    412: (
        "tus_version",
        "Send the header `Tus-Resumable: 1.0.0`. OPTIONS /v1/uploads lists supported versions.",
    ),
    416: (
        "range_not_satisfiable",
        "Request a range within the file. The Content-Range header states its size.",
    ),
    415: ("media_type_unsupported", "See /openapi.json for the media type of the body."),
}
_KEY_MARKER = "[key]"  # pydantic appends it to the location of an invalid dictionary key
_log = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)


class FieldProblem(BaseModel):
    """An error in one field or parameter of the request."""

    pointer: str | None = Field(
        None, description="JSON pointer to the field. For a form field: `/` followed by its name."
    )
    parameter: str | None = Field(
        None, description="Name of the query parameter, header or path parameter."
    )
    code: str = Field(
        description="Machine-readable error code. It does not change between releases."
    )
    message: str


class Problem(BaseModel):
    """An error response."""

    type: str = "about:blank"
    title: str = Field(description="Name of the HTTP status.")
    status: int
    code: str = Field(
        description="Machine-readable error code. It does not change between releases."
    )
    detail: str = Field(description="Human-readable explanation of the error.")
    hint: str = Field("", description="How to resolve the error.")
    errors: list[FieldProblem] = Field(
        default_factory=list, description="One entry per invalid field or parameter."
    )
    request_id: str | None = Field(
        None,
        description="Request id. It is also in the X-Request-Id header and in the server's log.",
    )


def build_problem(
    status: int, code: str, detail: str, *, hint: str = "", errors: list[FieldProblem] | None = None
) -> Problem:
    """Return a problem document. Its title is the name of the HTTP status."""
    title = "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase
    return Problem(
        title=title, status=status, code=code, detail=detail, hint=hint, errors=errors or []
    )


def problem_response(
    problem: Problem, request_id: str | None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the HTTP response for a problem."""
    body = problem.model_copy(update={"request_id": request_id}).model_dump_json()
    response = Response(body, problem.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)
    if request_id:
        response.headers["X-Request-Id"] = request_id
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a problem as the response of an ASGI middleware."""
    await problem_response(problem, scope["state"].get("request_id"))(scope, receive, send)


def problem_from_error(error: registry_errors.RegistryError | DistillationError) -> Problem:
    """Convert a registry or core error to a problem. The error's class determines the status."""
    status = next(_STATUS_CODES[kind] for kind in type(error).__mro__ if kind in _STATUS_CODES)
    parameter = _QUERY_PARAMETERS.get(type(error))
    pointer = error.pointer if parameter is None else None
    field = FieldProblem(
        pointer=pointer, parameter=parameter, code=error.code, message=error.message
    )
    errors = [] if pointer is None and parameter is None else [field]
    return build_problem(status, error.code, error.message, hint=error.hint, errors=errors)


def problem_from_http_exception(error: HTTPException, method: str, path: str) -> Problem:
    """Return the problem for an error that the framework raised before a route was reached."""
    code, hint = _HTTP_ERRORS.get(
        error.status_code, (HTTPStatus(error.status_code).name.lower(), "")
    )
    details = {404: f"There is no path {path}.", 405: f"{path} does not support {method}."}
    detail = details.get(error.status_code, str(error.detail))
    return build_problem(error.status_code, code, detail, hint=hint)


def problem_from_validation_error(error: RequestValidationError) -> Problem:
    """Convert a request's validation errors to a problem with one entry per invalid field."""
    fields = [FieldProblem(**entry) for entry in _iter_field_problems(error.errors(), error.body)]
    first = fields[0]
    location = first.pointer or first.parameter
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    hints = (entry.get("ctx", {}).get("hint") for entry in error.errors())
    return build_problem(
        422,
        "request_invalid",
        f"{location}: {first.message}{more}" if location else first.message + more,
        hint=next((hint for hint in hints if hint), "Correct the fields listed in `errors`."),
        errors=fields,
    )


def validate_body(model: type[ModelT], body: dict[str, Any]) -> ModelT:
    """Validate data that the route has assembled, and report errors as if it were the request body.

    Raises:
        RequestValidationError: The data is invalid. The error locations refer to the body.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        errors = [
            {**entry, "loc": ("body", *entry["loc"])} for entry in error.errors(include_url=False)
        ]
        raise RequestValidationError(errors, body=body) from error


def get_request_id(request: Request) -> str | None:
    """Return the request id, which is also in the response and in the log."""
    return getattr(request.state, "request_id", None)


def _handle_known_error(request: Request, error: Any) -> Response:
    headers = {}  # how the client can continue
    if isinstance(error, upload_errors.OffsetMismatch):
        headers["Upload-Offset"] = str(error.received)
    elif isinstance(error, upload_errors.UploadLocked):
        headers["Retry-After"] = "1"
    return problem_response(problem_from_error(error), get_request_id(request), headers)


def _handle_http_exception(request: Request, error: HTTPException) -> Response:
    headers = (
        {"Allow": _get_allowed_methods(request)}
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        else error.headers
    )
    return problem_response(
        problem_from_http_exception(error, request.method, request.url.path),
        get_request_id(request),
        headers,
    )


def _handle_validation_error(request: Request, error: RequestValidationError) -> Response:
    return problem_response(problem_from_validation_error(error), get_request_id(request))


def _handle_unexpected_error(request: Request, error: Exception) -> Response:
    request_id = get_request_id(request)
    _log.error(
        "%s %s failed (request %s)", request.method, request.url.path, request_id, exc_info=error
    )
    problem = build_problem(
        500,
        "internal",
        "The server failed to process the request. Its log has the cause under this request_id.",
        hint="Try again. If the error persists, contact the operator.",
    )
    return problem_response(problem, request_id)


ERROR_HANDLERS: dict[int | type[Exception], Any] = {
    registry_errors.RegistryError: _handle_known_error,
    DistillationError: _handle_known_error,
    HTTPException: _handle_http_exception,
    RequestValidationError: _handle_validation_error,
    Exception: _handle_unexpected_error,
}


def _get_allowed_methods(request: Request) -> str:
    """Return the value of the Allow header: all methods that the path supports.

    Starlette lists only the methods of the first matching route, but RFC 9110, 10.2.1 requires the
    header to list all methods.
    """
    routes = request.app.router.routes
    scope = {**request.scope, "path_params": {}}
    allowed = (
        method
        for method in HTTP_METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    )
    return ", ".join(allowed)


def _iter_field_problems(errors: Sequence[Any], body: Any) -> Iterator[dict[str, str]]:
    """Yield the location (pointer or parameter), code and message of each pydantic error."""
    for error in errors:
        source, *path = error["loc"]
        context = error.get("ctx", {})
        entry = {"code": str(error["type"]), "message": str(context.get("message", error["msg"]))}
        if source == "body":
            pointer = _build_json_pointer(path, body, error["type"])
            yield {"pointer": pointer + str(context.get("pointer", "")), **entry}
        else:
            yield {"parameter": ".".join(part for part in path if isinstance(part, str)), **entry}


def _build_json_pointer(path: Sequence[str | int], body: Any, error_type: str) -> str:
    """Convert a pydantic location to a JSON pointer (RFC 6901) into the body that the client sent.

    Locations also contain union tags, which are not in the body. The pointer therefore omits every
    name that is not in the body, except the name of a field that is reported as missing.
    """
    if error_type == "json_invalid" and not isinstance(body, dict):
        return ""  # the location is the offset at which parsing failed
    current, parts = body, []
    for index, part in enumerate(path):
        if part == _KEY_MARKER:
            continue
        if isinstance(current, str):
            pass  # JSON in a text field of a form; the location continues inside it
        elif _has_item(current, part):
            current = current[part]
        elif not (error_type == "missing" and index == len(path) - 1):
            continue
        parts.append(str(part).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in parts)


def _has_item(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)
