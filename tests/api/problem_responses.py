"""Assertions about error responses."""

from typing import Any


def status_and_code(response: Any) -> tuple[int, str]:
    """Return the status and the error code of a problem response."""
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]
