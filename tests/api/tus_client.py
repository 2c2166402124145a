"""A minimal tus client."""

from base64 import b64encode
from hashlib import new
from typing import Any

from httpx import Response

TUS_HEADERS = {"Tus-Resumable": "1.0.0"}
CHUNK_HEADERS = {**TUS_HEADERS, "Content-Type": "application/offset+octet-stream"}


def metadata_header(**metadata: str) -> dict[str, str]:
    pairs = [f"{name} {b64encode(value.encode()).decode()}" for name, value in metadata.items()]
    return {"Upload-Metadata": ",".join(pairs)}


def checksum_header(content: bytes, algorithm: str = "sha256") -> dict[str, str]:
    digest = b64encode(new(algorithm, content).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


def create_upload(client: Any, size: int, **metadata: str) -> str:
    """Create an upload and return its URL path."""
    headers = {**TUS_HEADERS, "Upload-Length": str(size)}
    if metadata:
        headers |= metadata_header(**metadata)
    response = client.post("/v1/uploads", headers=headers)
    assert response.status_code == 201, response.text
    return str(response.headers["Location"])


def append_chunk(
    client: Any, upload_url: str, offset: int, content: bytes, **headers: str
) -> Response:
    headers = {**CHUNK_HEADERS, "Upload-Offset": str(offset), **headers}
    response: Response = client.patch(upload_url, headers=headers, content=content)
    return response


def upload_file(client: Any, content: bytes, **metadata: str) -> str:
    """Upload a complete file and return the id of the upload."""
    upload_url = create_upload(client, len(content), **metadata)
    assert append_chunk(client, upload_url, 0, content).status_code == 204
    return upload_url.rpartition("/")[2]
