"""Public names of the client: `Client(url, api_key)` and the asynchronous `AsyncClient`."""

from dlkd_client._async.api_client import AsyncClient
from dlkd_client._async.jobs_api import AsyncJob
from dlkd_client._async.models_api import AsyncModel
from dlkd_client._sync.api_client import Client
from dlkd_client._sync.jobs_api import Job
from dlkd_client._sync.models_api import Model

__all__ = ["AsyncClient", "AsyncJob", "AsyncModel", "Client", "Job", "Model"]
