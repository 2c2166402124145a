"""A client of tus as small as can be, for tests."""

from base64 import b64encode
from hashlib import new
from typing import Any

from httpx import Response

TUS = {"Tus-Resumable": "1.0.0"}
STREAM = {**TUS, "Content-Type": "application/offset+octet-stream"}


def metadata(**told: str) -> dict[str, str]:
    return {"Upload-Metadata": ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in told.items())}


def checksum(content: bytes, algorithm: str = "sha256") -> dict[str, str]:
    return {"Upload-Checksum": f"{algorithm} {b64encode(new(algorithm, content).digest()).decode()}"}


def begin(client: Any, size: int, **told: str) -> str:
    """The address of a new upload."""
    answer = client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(size), **(metadata(**told) if told else {})})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def append(client: Any, place: str, offset: int, content: bytes, **headers: str) -> Response:
    answer: Response = client.patch(place, headers={**STREAM, "Upload-Offset": str(offset), **headers}, content=content)
    return answer


def uploaded(client: Any, content: bytes, **told: str) -> str:
    """The id of an upload that has all its bytes."""
    place = begin(client, len(content), **told)
    assert append(client, place, 0, content).status_code == 204
    return place.rpartition("/")[2]
