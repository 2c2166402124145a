"""Commands that run the service or parts of it. They need the extras `api` and `worker`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from dlkd_client.cli.connection_settings import JsonOption
from dlkd_client.cli.terminal import console, exit_with_error, print_message

if TYPE_CHECKING:
    from registry.settings import Settings

app = typer.Typer()
db_app = typer.Typer(no_args_is_help=True)
key_app = typer.Typer(no_args_is_help=True)

DataFolderOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the service. [default: ./data]")
]


@app.command()
def up(
    data: DataFolderOption = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port, or 0 for a free port. [default: 8000]", min=0, max=65_535),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(help="Number of concurrent training jobs. [default: 1]", min=1)
    ] = None,
    *,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help='When ready, print only one line of JSON, with "url" and "api_key".'
        ),
    ] = False,
) -> None:
    """Start the whole service on this machine. Ctrl-C stops it."""
    overrides = {"DLKD_DATA": data, "DLKD_PORT": port, "DLKD_HOST": host, "DLKD_SLOTS": slots}
    os.environ.update({name: str(value) for name, value in overrides.items() if value is not None})
    with require_service_extras():
        from dlkd_client.local import service
        from dlkd_client.local.child_process import ChildProcessDied
        from registry.access.address_checks import is_loopback
    settings = load_settings()
    if host is None and not is_loopback(settings.host):
        exit_with_error(
            f"DLKD_HOST={settings.host} would expose the service to other machines. "
            f"Confirm with --host {settings.host}, or unset DLKD_HOST."
        )

    def announce(address: service.ServiceAddress) -> None:
        if as_json:
            typer.echo(json.dumps({"url": address.url, "api_key": address.api_key}))
            return
        console.print(
            f"The service is running: [link={address.url}][bold]{address.url}[/][/link]",
            highlight=False,
        )
        console.print(
            f"  API key  {address.api_key}\n           (also in {settings.data / 'api_key'})",
            highlight=False,
            soft_wrap=True,
        )
        console.print(f"  logs     {settings.data / 'logs'}", highlight=False, soft_wrap=True)
        console.print(
            "Press Ctrl-C to stop. "
            "In another terminal: dlkd catalog, dlkd list, dlkd submit spec.json",
            highlight=False,
        )

    try:
        service.run_service(settings, announce, print_message)
    except (service.CannotStart, ChildProcessDied) as error:
        exit_with_error(str(error))


@app.command()
def api() -> None:
    """Run only the API server.

    The DLKD_... settings configure it.
    """
    with require_service_extras():
        from api.__main__ import main
    raise typer.Exit(main())


@app.command()
def worker(
    data: DataFolderOption = None,
    slots: Annotated[
        int | None, typer.Option(help="Number of concurrent training jobs. [default: 1]", min=1)
    ] = None,
    queues: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated queues: checks, train, train-cpu, train-cuda. [default: all]",
            metavar="NAMES",
        ),
    ] = None,
) -> None:
    """Run only a worker.

    The DLKD_... settings configure it.
    """
    overrides = {"DLKD_DATA": data, "DLKD_SLOTS": slots, "DLKD_QUEUES": queues}
    os.environ.update({name: str(value) for name, value in overrides.items() if value is not None})
    with require_service_extras():
        from worker.__main__ import main
    raise typer.Exit(main())


@db_app.command("upgrade")
def upgrade_database() -> None:
    """Upgrade the database schema.

    The DLKD_... settings select the database.
    """
    with require_service_extras():
        from registry.db.schema_migrations import upgrade
    settings = load_settings()
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    upgrade(settings.database_url)
    print_message("The database is up to date.")


@key_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Name of the key, such as the name of its user.")],
    role: Annotated[
        str, typer.Option(help="Role of the key: viewer, submitter, operator or admin.")
    ] = "admin",
    owner: Annotated[
        str | None,
        typer.Option(
            help="Owner of the resources that the key creates and sees. [default: the key itself]"
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Create an API key and print it.

    The DLKD_... settings select the database. It stores only a hash of the key, so the key cannot
    be shown again.
    """
    with require_service_extras():
        from registry.access import api_keys
        from registry.access.permissions import Role
        from registry.db.database import Database
    if role not in set(Role):
        exit_with_error(f"Unknown role {role}. Choose one of {', '.join(Role)}.")
    database = Database(load_settings().database_url)
    with database.write() as session:
        row, secret = api_keys.create(session, name=name, role=Role(role), owner=owner)
        result = {"id": row.id, "name": name, "role": role, "owner": row.owner, "key": secret}
    database.close()
    typer.echo(json.dumps(result) if as_json else secret)


def load_settings() -> "Settings":
    """Load the DLKD_... settings. If they are invalid, end the command."""
    from registry.settings import Settings, format_errors

    try:
        return Settings()
    except ValidationError as error:
        exit_with_error(format_errors(error))


@contextmanager
def require_service_extras() -> Iterator[None]:
    """End the command with a hint if the service's extras are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        exit_with_error(f"{error}. Install dlkd[api,worker] to run the service here.")
