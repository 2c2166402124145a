"""The service as Python. Every method is one wish; refusals are `ProblemError`."""

from typing import Any

from dlkd_client._sync.inputs import Inputs
from dlkd_client._sync.jobs import Jobs
from dlkd_client._sync.models import Models


class Client(Inputs, Jobs, Models):
    """A connection to one service; to be closed, or used as a context."""

    def catalog(self) -> dict[str, Any]:
        """Methods, architectures and exporters with the JSON schemas of their parameters."""
        answer: dict[str, Any] = (self.send("GET", "/v1/catalog")).json()
        return answer

    def me(self) -> dict[str, Any]:
        """Whom the service takes the key for: name, role, owner, scopes."""
        answer: dict[str, Any] = (self.send("GET", "/v1/me")).json()
        return answer
