"""The service as Python: `Client(url, api_key)`, and `AsyncClient` with the same methods to be awaited."""

from dlkd_client._async.client import AsyncClient
from dlkd_client._async.jobs import AsyncJob
from dlkd_client._async.models import AsyncModel
from dlkd_client._sync.client import Client
from dlkd_client._sync.jobs import Job
from dlkd_client._sync.models import Model

__all__ = ["AsyncClient", "AsyncJob", "AsyncModel", "Client", "Job", "Model"]
