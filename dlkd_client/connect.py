"""Which service the command speaks to: options, then DLKD_URL and DLKD_API_KEY, then `dlkd up` here, then `dlkd login`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from dlkd_client import logins
from dlkd_client.client import Client
from dlkd_client.errors import ClientError
from dlkd_client.terminal import fail

SERVICE_FILE = "service.json"  # in the data folder, while `dlkd up` runs: {"url", "api_key"}

Url = Annotated[str | None, typer.Option("--url", envvar="DLKD_URL", help="Address of the service")]
Key = Annotated[str | None, typer.Option("--api-key", envvar="DLKD_API_KEY", help="A key of it", show_envvar=True)]
Data = Annotated[
    Path, typer.Option("--data", envvar="DLKD_DATA", help="Data folder of a service on this machine, used without --url")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON")]
DEFAULT_DATA = Path("data")


@contextmanager
def service(url: str | None, key: str | None, data: Path = DEFAULT_DATA, *, retries: int = 3) -> Iterator[Client]:
    """A client of that service. What it refuses is said in words and ends the command."""
    found = find(url, key, data)
    if found is None:
        fail(
            f"No service: give --url and --api-key (or DLKD_URL and DLKD_API_KEY), log in to one (dlkd login), "
            f"or start one here: dlkd up --data {data}"
        )
    with told(*found, retries=retries) as client:
        yield client


@contextmanager
def told(url: str, key: str, *, retries: int = 3) -> Iterator[Client]:
    """A client of the service at that address, whose errors are words."""
    try:
        if not url.startswith(("http://", "https://")):
            fail(f"{url} is no address: it begins with http:// or https://.")
        if not (key.isascii() and key.isprintable()):
            fail("The key has characters that no key has; copy it again.")
        with Client(url, key, retries=retries) as client:
            yield client
    except (ClientError, httpx.InvalidURL) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'this machine'}: {error.strerror or error}")
    except KeyError as error:
        fail(str(error.args[0]))


def find(url: str | None, key: str | None, data: Path) -> tuple[str, str] | None:
    """Address and key; None where there is no service to be found."""
    if url and key:
        return url, key
    if url or key:  # a key found on this machine must not go to an address from elsewhere
        fail("Give both --url and --api-key (or DLKD_URL and DLKD_API_KEY), or neither.")
    file = data / SERVICE_FILE
    if file.exists():
        running = json.loads(file.read_text())
        return str(running["url"]), str(running["api_key"])
    return logins.known()
