"""Shell completion: ids from the service, if it responds quickly, and names from the catalog."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import typer

from dlkd_client.cli.connection_settings import DEFAULT_DATA_DIR, resolve_service
from dlkd_client.client import Client
from dlkd_client.errors import ClientError

_TIMEOUT_SECONDS = 2.0
_MAX_SUGGESTIONS = 50
Suggestion = tuple[str, str]  # (completion, description)
Completer = Callable[[typer.Context, str], Iterable[Suggestion]]


def _complete_from_service(list_suggestions: Callable[[Client], Iterator[Suggestion]]) -> Completer:
    """Return a completer that fetches suggestions from the service.

    If an error occurs, it suggests nothing, because a shell cannot show errors.
    """

    def complete(context: typer.Context, incomplete: str) -> list[Suggestion]:
        options = context.params
        data = Path(options.get("data") or DEFAULT_DATA_DIR)
        try:
            address = resolve_service(options.get("url"), options.get("key"), data)
            if address is None:
                return []
            with Client(*address, timeout=_TIMEOUT_SECONDS, retries=0) as client:
                suggestions = islice(list_suggestions(client), _MAX_SUGGESTIONS)
                return [entry for entry in suggestions if entry[0].startswith(incomplete)]
        except (ClientError, OSError, ValueError, typer.Exit):
            return []

    return complete


def _list_jobs(client: Client) -> Iterator[Suggestion]:
    return ((job.id, f"{job.name} {job.status}") for job in client.jobs())


def _list_models(client: Client) -> Iterator[Suggestion]:
    for model in client.models():
        yield model.id, f"{model.name}@{model.version} {model.architecture}"
        yield from ((f"{model.name}@{alias}", model.id) for alias in model.aliases)


def _list_teachers(client: Client) -> Iterator[Suggestion]:
    return ((teacher.id, f"{teacher.name} {teacher.status}") for teacher in client.teachers())


def _list_datasets(client: Client) -> Iterator[Suggestion]:
    return ((dataset.id, f"{dataset.name} {dataset.status}") for dataset in client.datasets())


def _list_jobs_and_models(client: Client) -> Iterator[Suggestion]:
    yield from islice(_list_jobs(client), _MAX_SUGGESTIONS // 2)
    yield from islice(_list_models(client), _MAX_SUGGESTIONS // 2)


def complete_architectures(_context: typer.Context, incomplete: str) -> list[str]:
    """Complete architecture names from the catalog, without a request to the service."""
    from dlkd_core.catalog import ARCHITECTURES

    return [name for name in ARCHITECTURES if name.startswith(incomplete)]


complete_jobs = _complete_from_service(_list_jobs)
complete_models = _complete_from_service(_list_models)
complete_jobs_and_models = _complete_from_service(_list_jobs_and_models)
complete_teachers = _complete_from_service(_list_teachers)
complete_datasets = _complete_from_service(_list_datasets)
