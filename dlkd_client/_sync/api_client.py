"""The client, with one method for each operation of the service."""

from typing import Any

from dlkd_client._sync.inputs_api import InputsAPI
from dlkd_client._sync.jobs_api import JobsAPI
from dlkd_client._sync.models_api import ModelsAPI


class Client(InputsAPI, JobsAPI, ModelsAPI):
    """A client of a service. Close it after use, or use it as a context manager."""

    def catalog(self) -> dict[str, Any]:
        """Return the methods, architectures and exporters, with JSON schemas of parameters."""
        return self.send_json("GET", "/v1/catalog")

    def me(self) -> dict[str, Any]:
        """Return the identity behind the API key: its name, role, owner and scopes."""
        return self.send_json("GET", "/v1/me")
