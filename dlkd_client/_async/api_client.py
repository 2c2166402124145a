"""The client, with one method for each operation of the service."""

from typing import Any

from dlkd_client._async.inputs_api import AsyncInputsAPI
from dlkd_client._async.jobs_api import AsyncJobsAPI
from dlkd_client._async.models_api import AsyncModelsAPI


class AsyncClient(AsyncInputsAPI, AsyncJobsAPI, AsyncModelsAPI):
    """A client for the service. Close it after use, or use it as a context manager."""

    async def catalog(self) -> dict[str, Any]:
        """Return methods, architectures and exporters with the JSON schemas of their parameters."""
        return await self.send_json("GET", "/v1/catalog")

    async def me(self) -> dict[str, Any]:
        """Return the name, role, owner and scopes of the API key."""
        return await self.send_json("GET", "/v1/me")
