"""Which service the command speaks to: options, then DLKD_URL and DLKD_API_KEY, then the one that `dlkd up` runs here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client.client import Client
from dlkd_client.errors import ClientError
from dlkd_client.terminal import fail

SERVICE_FILE = "service.json"  # in the data folder, while `dlkd up` runs: {"url", "api_key"}

Url = Annotated[str | None, typer.Option("--url", envvar="DLKD_URL", help="Address of the service")]
Key = Annotated[str | None, typer.Option("--api-key", envvar="DLKD_API_KEY", help="A key of it", show_envvar=True)]
Data = Annotated[
    Path, typer.Option("--data", envvar="DLKD_DATA", help="Data folder of a service on this machine, used without --url")
]
DEFAULT_DATA = Path("data")


@contextmanager
def service(url: str | None, key: str | None, data: Path = DEFAULT_DATA) -> Iterator[Client]:
    """A client of that service. What it refuses is said in words and ends the command."""
    found_url, found_key = _found(url, key, data)
    try:
        with Client(found_url, found_key) as client:
            yield client
    except ClientError as error:
        fail(str(error))
    except KeyError as error:
        fail(str(error.args[0]))


def _found(url: str | None, key: str | None, data: Path) -> tuple[str, str]:
    if url and key:
        return url, key
    if url or key:  # a key found on this machine must not go to an address from elsewhere
        fail("Give both --url and --api-key (or DLKD_URL and DLKD_API_KEY), or neither.")
    file = data / SERVICE_FILE
    if not file.exists():
        fail(f"No service: give --url and --api-key (or DLKD_URL and DLKD_API_KEY), or start one here: dlkd up --data {data}")
    running = json.loads(file.read_text())
    return str(running["url"]), str(running["api_key"])
