"""Commands on what the service keeps: cleaned, checked, copied. Like those that run it, they need the extras."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client.connect import AsJson
from dlkd_client.running import installed, settings_here
from dlkd_client.terminal import say

admin = typer.Typer(no_args_is_help=True)
_Place = Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix with the usual AWS_ variables")]


@admin.command("gc")
def collect_garbage(
    *, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go")] = False, as_json: AsJson = False
) -> None:
    """Removes what nobody names in the store of the DLKD_... settings, and prints bytes, kind and name of each thing."""
    with installed():
        from registry.db import Database
        from registry.store import Store
        from worker.garbage import collect
    settings = settings_here()
    database, total = Database(settings.database_url), 0
    for item in collect(database, Store(settings.store_url), settings, dry_run=dry_run):
        facts = {"bytes": item.size, "kind": item.kind, "name": item.name}
        typer.echo(json.dumps(facts) if as_json else " ".join(map(str, facts.values())))
        total += item.size
    database.close()
    say(f"{total} bytes {'would be' if dry_run else 'are'} free.")


@admin.command("check")
def check_files(
    *,
    read: Annotated[bool, typer.Option("--read", help="Read and hash every file, too, which takes its time")] = False,
    as_json: AsJson = False,
) -> None:
    """Compares the rows of the DLKD_... settings with the store, and prints each file that is not as a row says, with its row.

    Ends with 1 where there is one.
    """
    with installed():
        from registry import artifacts
        from registry.db import Database
        from registry.store import Store
    settings = settings_here()
    database, count = Database(settings.database_url), 0
    with database.read() as session:
        for fault in artifacts.faults(session, Store(settings.store_url), read=read):
            facts = {"problem": fault.problem, "sha256": fault.digest, "row": fault.row}
            typer.echo(json.dumps(facts) if as_json else f"{fault.row} {fault.digest} {fault.problem}")
            count += 1
    database.close()
    say(f"{count} of what rows name is not as it should be." if count else "Every file that a row names is there.")
    raise typer.Exit(1 if count else 0)


@admin.command("copy")
def copy_files(source: _Place, target: _Place, *, as_json: AsJson = False) -> None:
    """Copies stored files and checkpoints that the target lacks, each held to its sha256: to back up, restore or move a store.

    Prints bytes and name of each, and ends with 1 where one could not be copied.
    """
    with installed():
        from registry.copies import copy
        from registry.store import Store
    total, failed = 0, 0
    for item in copy(Store(_url(source)), Store(_url(target))):
        facts = {"bytes": item.size, "name": item.key, "problem": item.problem}
        typer.echo(json.dumps(facts) if as_json else " ".join(str(fact) for fact in facts.values() if fact is not None))
        total, failed = total + (0 if item.problem else item.size), failed + bool(item.problem)
    say(f"{total} bytes were copied." + (f" {failed} files could not be." if failed else ""))
    raise typer.Exit(1 if failed else 0)


def _url(place: str) -> str:
    return place if "://" in place else Path(place).resolve().as_uri()
