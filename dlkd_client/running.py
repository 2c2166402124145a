"""Commands that run the service or parts of it. They need the extras `api` and `worker`, and load them when they are called."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from dlkd_client.connect import AsJson
from dlkd_client.terminal import fail, out, say

if TYPE_CHECKING:
    from registry.settings import Settings

app = typer.Typer()
db = typer.Typer(no_args_is_help=True)
key = typer.Typer(no_args_is_help=True)

DataFolder = Annotated[Path | None, typer.Option("--data", help="Folder of everything that it keeps [default: ./data]")]


@app.command()
def up(
    data: DataFolder = None,
    port: Annotated[int | None, typer.Option(help="0: any free port [default: 8000]", min=0, max=65_535)] = None,
    host: Annotated[str | None, typer.Option(help="Address to serve at [default: 127.0.0.1]")] = None,
    slots: Annotated[int | None, typer.Option(help="Training jobs at once [default: 1]", min=1)] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print one line {"url", "api_key"} when ready, and nothing else')
    ] = False,
) -> None:
    """Starts the whole service on this machine and stops it on Ctrl-C."""
    given = {"DLKD_DATA": data, "DLKD_PORT": port, "DLKD_HOST": host, "DLKD_SLOTS": slots}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    with installed():
        from dlkd_client import up as service
        from dlkd_client.processes import ChildDied
        from registry.addresses import is_loopback
    settings = settings_here()
    if host is None and not is_loopback(settings.host):
        fail(f"DLKD_HOST would serve other machines too: say so with --host {settings.host}, or unset it.")

    def announce(running: service.Running) -> None:
        if as_json:
            typer.echo(json.dumps({"url": running.url, "api_key": running.api_key}))
            return
        out.print(f"The service is up. Its portal: [link={running.url}][bold]{running.url}[/][/link]", highlight=False)
        out.print(
            f"  key   {running.api_key}\n        (signs in; also in {settings.data / 'api_key'})", highlight=False, soft_wrap=True
        )
        out.print(f"  logs  {settings.data / 'logs'}", highlight=False, soft_wrap=True)
        out.print("Ctrl-C stops it. In another terminal: dlkd catalog, dlkd list, dlkd submit spec.json", highlight=False)

    try:
        service.run(settings, announce, say)
    except (service.CannotStart, ChildDied) as error:
        fail(str(error))


@app.command()
def api() -> None:
    """Runs the HTTP door alone, by the DLKD_... settings."""
    with installed():
        from api.__main__ import main
    raise typer.Exit(main())


@app.command()
def worker(
    data: DataFolder = None,
    slots: Annotated[int | None, typer.Option(help="Training jobs at once [default: 1]", min=1)] = None,
    queues: Annotated[
        str | None, typer.Option(help="By commas, of checks, train, train-cpu and train-cuda [default: all]", metavar="NAMES")
    ] = None,
) -> None:
    """Runs a worker alone, by the DLKD_... settings."""
    given = {"DLKD_DATA": data, "DLKD_SLOTS": slots, "DLKD_QUEUES": queues}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    with installed():
        from worker.__main__ import main
    raise typer.Exit(main())


@db.command("upgrade")
def upgrade_database() -> None:
    """Brings the database of the DLKD_... settings to this version."""
    with installed():
        from registry.db import upgrade
    settings = settings_here()
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    upgrade(settings.database_url)
    say("The database is up to date.")


@key.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Whose it is, for people")],
    role: Annotated[str, typer.Option(help="viewer, submitter, operator or admin")] = "admin",
    owner: Annotated[str | None, typer.Option(help="Whose rows it sees and makes [default: its own]")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Makes a key of the service of the DLKD_... settings and prints it; it is not kept and cannot be shown again."""
    with installed():
        from registry import keys
        from registry.access import Role
        from registry.db import Database
    if role not in set(Role):
        fail(f"There is no role {role}: it is one of {', '.join(Role)}.")
    database = Database(settings_here().database_url)
    with database.write() as session:
        row, secret = keys.create(session, name=name, role=Role(role), owner=owner)
        facts = {"id": row.id, "name": name, "role": role, "owner": row.owner, "key": secret}
    database.close()
    typer.echo(json.dumps(facts) if as_json else secret)


def settings_here() -> "Settings":
    """The DLKD_... settings; what is wrong with them ends the command."""
    from registry.settings import Settings, words

    try:
        return Settings()
    except ValidationError as error:
        fail(words(error))


@contextmanager
def installed() -> Iterator[None]:
    """The plain install is the client alone."""
    try:
        yield
    except ModuleNotFoundError as error:
        fail(f"{error}: install dlkd[api,worker] to run the service here.")
