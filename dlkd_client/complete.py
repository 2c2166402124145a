"""What the shell offers after a tab: ids and names that the service knows, if it answers at once, and the catalog's names."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import typer

from dlkd_client.client import Client
from dlkd_client.connect import DEFAULT_DATA, find
from dlkd_client.errors import ClientError

_SECONDS = 2.0
_MOST = 50
Offer = tuple[str, str]  # what to insert, and what it is
Completer = Callable[[typer.Context, str], Iterable[Offer]]


def _asking(ask: Callable[[Client], Iterator[Offer]]) -> Completer:
    """Offers what the service answers; nothing where it does not, for a shell is no place for errors."""

    def complete(context: typer.Context, incomplete: str) -> list[Offer]:
        given = context.params
        try:
            found = find(given.get("url"), given.get("key"), Path(given.get("data") or DEFAULT_DATA))
            if found is None:
                return []
            with Client(*found, timeout=_SECONDS, retries=0) as client:
                return [offer for offer in islice(ask(client), _MOST) if offer[0].startswith(incomplete)]
        except (ClientError, OSError, ValueError, typer.Exit):
            return []

    return complete


def _jobs(client: Client) -> Iterator[Offer]:
    return ((job.id, f"{job.name} {job.status}") for job in client.jobs())


def _models(client: Client) -> Iterator[Offer]:
    for model in client.models():
        yield model.id, f"{model.name}@{model.version} {model.architecture}"
        yield from ((f"{model.name}@{alias}", model.id) for alias in model.aliases)


def _teachers(client: Client) -> Iterator[Offer]:
    return ((teacher.id, f"{teacher.name} {teacher.status}") for teacher in client.teachers())


def _datasets(client: Client) -> Iterator[Offer]:
    return ((dataset.id, f"{dataset.name} {dataset.status}") for dataset in client.datasets())


def _things(client: Client) -> Iterator[Offer]:
    yield from islice(_jobs(client), _MOST // 2)
    yield from islice(_models(client), _MOST // 2)


def architectures(_context: typer.Context, incomplete: str) -> list[str]:
    """Names of the catalog, which needs no service."""
    from dlkd_core.catalog import ARCHITECTURES

    return [name for name in ARCHITECTURES if name.startswith(incomplete)]


jobs, models, things = _asking(_jobs), _asking(_models), _asking(_things)
teachers, datasets = _asking(_teachers), _asking(_datasets)
