"""Maintenance commands, which need the extras `api` and `worker`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client.cli.connection_settings import JsonOption
from dlkd_client.cli.serve import load_settings, require_service_extras
from dlkd_client.cli.terminal import print_message

app = typer.Typer(no_args_is_help=True)
_StoreLocation = Annotated[
    str,
    typer.Argument(
        help="Folder, or s3://bucket/prefix. S3 needs AWS_... variables for credentials."
    ),
]


@app.command("gc")
def collect_garbage(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove unreferenced objects from the store.

    Uses the store that the DLKD_... settings select. Prints the size, kind and name of each object.
    """
    with require_service_extras():
        from registry.db.database import Database
        from registry.storage.object_store import Store
        from worker.garbage import collect
    settings = load_settings()
    database, total = Database(settings.database_url), 0
    for item in collect(database, Store(settings.store_url), settings, dry_run=dry_run):
        row = {"bytes": item.size, "kind": item.kind, "name": item.name}
        typer.echo(json.dumps(row) if as_json else " ".join(map(str, row.values())))
        total += item.size
    database.close()
    print_message(f"{total} bytes {'would be' if dry_run else 'were'} freed.")


@app.command("check")
def check_files(
    *,
    read: Annotated[
        bool, typer.Option("--read", help="Also read and hash every file, which takes time.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the store for missing files.

    Checks that the store holds every file that the database refers to. The DLKD_... settings select
    the store and the database. Prints each missing or corrupt file with the row that refers to it.
    The exit status is 1 if there is such a file.
    """
    with require_service_extras():
        from registry.db.database import Database
        from registry.storage import artifacts
        from registry.storage.object_store import Store
    settings = load_settings()
    database, count = Database(settings.database_url), 0
    with database.read() as session:
        for fault in artifacts.find_faults(session, Store(settings.store_url), verify_content=read):
            row = {"problem": fault.problem, "sha256": fault.digest, "row": fault.row_id}
            typer.echo(
                json.dumps(row) if as_json else f"{fault.row_id} {fault.digest} {fault.problem}"
            )
            count += 1
    database.close()
    print_message(
        f"{count} files are missing or corrupt."
        if count
        else "Every file that the database refers to is in the store."
    )
    raise typer.Exit(1 if count else 0)


@app.command("copy")
def copy_files(
    source: _StoreLocation, target: _StoreLocation, *, as_json: JsonOption = False
) -> None:
    """Copy a store for a backup, restore or move.

    Copies the stored files and checkpoints that are missing from the target, and checks each file
    against its sha256. Prints the size and name of each file. The exit status is 1 if a file could
    not be copied.
    """
    with require_service_extras():
        from registry.storage.object_store import Store
        from registry.storage.store_copy import copy_store
    total, failed = 0, 0
    for item in copy_store(Store(_store_url(source)), Store(_store_url(target))):
        row = {"bytes": item.size, "name": item.key, "problem": item.problem}
        text = " ".join(str(value) for value in row.values() if value is not None)
        typer.echo(json.dumps(row) if as_json else text)
        if item.problem:
            failed += 1
        else:
            total += item.size
    failures = f" {failed} files could not be copied." if failed else ""
    print_message(f"{total} bytes were copied.{failures}")
    raise typer.Exit(1 if failed else 0)


def _store_url(location: str) -> str:
    return location if "://" in location else Path(location).resolve().as_uri()
