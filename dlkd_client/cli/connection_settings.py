"""Finds the service that a command uses.

The address and key come from the first of these sources that has them: the command-line options,
DLKD_URL and DLKD_API_KEY, a service started with `dlkd up`, and the file saved by `dlkd login`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from dlkd_client.cli import credentials
from dlkd_client.cli.terminal import exit_with_error
from dlkd_client.client import Client
from dlkd_client.errors import ClientError

SERVICE_FILE_NAME = "service.json"  # in the data folder, while `dlkd up` runs: {"url", "api_key"}

UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="DLKD_URL", help="Address of the service.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--api-key", envvar="DLKD_API_KEY", help="API key.", show_envvar=True),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="DLKD_DATA",
        help="Data folder of a service on this machine. Used if --url is not set.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DEFAULT_DATA_DIR = Path("data")


@contextmanager
def connect(
    url: str | None, key: str | None, data: Path = DEFAULT_DATA_DIR, *, retries: int = 3
) -> Iterator[Client]:
    """Find the service that a command uses and yield a client for it.

    If an error occurs, print it and end the command.
    """
    address = resolve_service(url, key, data)
    if address is None:
        exit_with_error(
            "No service found. Give --url and --api-key (or DLKD_URL and DLKD_API_KEY), "
            f"log in with dlkd login, or start a service here: dlkd up --data {data}"
        )
    with open_client(*address, retries=retries) as client:
        yield client


@contextmanager
def open_client(url: str, key: str, *, retries: int = 3) -> Iterator[Client]:
    """Yield a client for the service at an address. If an error occurs, end the command."""
    try:
        if not url.startswith(("http://", "https://")):
            exit_with_error(f"{url} is not an address. It must start with http:// or https://.")
        if not (key.isascii() and key.isprintable()):
            exit_with_error("The API key has invalid characters. Copy it again.")
        with Client(url, key, retries=retries) as client:
            yield client
    except (ClientError, httpx.InvalidURL) as error:
        exit_with_error(str(error))
    except OSError as error:
        exit_with_error(f"{error.filename or 'This machine'}: {error.strerror or error}")
    except KeyError as error:
        exit_with_error(str(error.args[0]))


def resolve_service(url: str | None, key: str | None, data: Path) -> tuple[str, str] | None:
    """Return the address and key of the service to use, or None if no service was found."""
    if url and key:
        return url, key
    if url or key:  # a key saved on this machine must not be sent to another address
        exit_with_error("Give both --url and --api-key (or DLKD_URL and DLKD_API_KEY), or neither.")
    file = data / SERVICE_FILE_NAME
    if file.exists():
        running = json.loads(file.read_text())
        return str(running["url"]), str(running["api_key"])
    return credentials.load_credentials()
