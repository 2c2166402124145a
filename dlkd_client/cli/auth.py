"""Commands to log in to a service, so that other commands find its address and key."""

import json
from typing import Annotated

import typer

from dlkd_client.cli import credentials
from dlkd_client.cli.connection_settings import (
    DEFAULT_DATA_DIR,
    DataOption,
    JsonOption,
    KeyOption,
    UrlOption,
    connect,
    open_client,
)
from dlkd_client.cli.terminal import console, exit_with_error, print_message

app = typer.Typer()


@app.command()
def login(
    url: Annotated[
        str, typer.Argument(help="Address of the service, such as https://dlkd.example.com.")
    ],
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="DLKD_API_KEY",
            help="API key. If it is not set, the command asks for it.",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Log in to a service.

    Saves the address and key after the service has accepted the key.
    """
    secret = api_key or str(typer.prompt("API key", hide_input=True, err=True))
    with open_client(url, secret) as client:
        me = client.me()
        file = credentials.save_credentials(client.url, secret)
    if as_json:
        typer.echo(json.dumps({"url": client.url, "file": str(file), **me}, indent=2))
        return
    console.print(
        f"Logged in to {client.url} as {me['name']} ({me['role']}). Saved in {file}.",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def logout() -> None:
    """Delete the saved address and key. The key stays valid until an admin revokes it."""
    if not credentials.delete_credentials():
        exit_with_error("Not logged in.")
    print_message(f"Logged out. {credentials.credentials_file()} was deleted.")


@app.command()
def whoami(
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show who you are logged in as.

    Prints the service's address, and the name, role, owner and scopes of the API key.
    """
    with connect(url, key, data) as client:
        me = client.me()
    if as_json:
        typer.echo(json.dumps({"url": client.url, **me}, indent=2))
        return
    scopes = f", limited to {' '.join(me['scopes'])}" if me.get("scopes") else ""
    console.print(
        f"{me['name']}: {me['role']} of {me['owner']}{scopes}, at {client.url}",
        highlight=False,
        soft_wrap=True,
    )
