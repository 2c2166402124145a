"""Commands that remember a service, so that others need no address and key."""

import json
from typing import Annotated

import typer

from dlkd_client import logins
from dlkd_client.connect import DEFAULT_DATA, AsJson, Data, Key, Url, service, told
from dlkd_client.terminal import fail, out, say

app = typer.Typer()


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="Address of the service, such as https://dlkd.example.com")],
    key: Annotated[str | None, typer.Option("--api-key", envvar="DLKD_API_KEY", help="A key of it; left out: asked for")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Remembers a service and a key, once the service has accepted it."""
    secret = key or str(typer.prompt("Key", hide_input=True, err=True))
    with told(url, secret) as client:
        me = client.me()
        file = logins.remember(client.url, secret)
    if as_json:
        typer.echo(json.dumps({"url": client.url, "file": str(file), **me}, indent=2))
        return
    out.print(f"{me['name']} ({me['role']}) at {client.url}; kept in {file}", highlight=False, soft_wrap=True)


@app.command()
def logout() -> None:
    """Forgets the service that was logged in to. The key stays good: an admin revokes it."""
    if not logins.forget():
        fail("Nobody is logged in.")
    say(f"{logins.file()} is gone.")


@app.command()
def whoami(url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """Which service the commands speak to, and whom it takes the key for."""
    with service(url, key, data) as client:
        me = client.me()
    if as_json:
        typer.echo(json.dumps({"url": client.url, **me}, indent=2))
        return
    scopes = f", only {' '.join(me['scopes'])}" if me.get("scopes") else ""
    out.print(f"{me['name']}: {me['role']} of {me['owner']}{scopes}, at {client.url}", highlight=False, soft_wrap=True)
