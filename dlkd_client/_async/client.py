"""The service as Python. Every method is one wish; refusals are `ProblemError`."""

from typing import Any

from dlkd_client._async.inputs import AsyncInputs
from dlkd_client._async.jobs import AsyncJobs
from dlkd_client._async.models import AsyncModels


class AsyncClient(AsyncInputs, AsyncJobs, AsyncModels):
    """A connection to one service; to be closed, or used as a context."""

    async def catalog(self) -> dict[str, Any]:
        """Methods, architectures and exporters with the JSON schemas of their parameters."""
        answer: dict[str, Any] = (await self.send("GET", "/v1/catalog")).json()
        return answer

    async def me(self) -> dict[str, Any]:
        """Whom the service takes the key for: name, role, owner, scopes."""
        answer: dict[str, Any] = (await self.send("GET", "/v1/me")).json()
        return answer
