"""The client, with one method for each operation of the service."""

from typing import Any

from dlkd_client._sync.inputs_api import InputsAPI
from dlkd_client._sync.jobs_api import JobsAPI
from dlkd_client._sync.models_api import ModelsAPI


class Client(InputsAPI, JobsAPI, ModelsAPI):
    """A client for the service. Close it after use, or use it as a context manager."""

    def catalog(self) -> dict[str, Any]:
        """Return methods, architectures and exporters with the JSON schemas of their parameters."""
        return self.send_json("GET", "/v1/catalog")

    def me(self) -> dict[str, Any]:
        """Return the name, role, owner and scopes of the API key."""
        return self.send_json("GET", "/v1/me")
