"""The generator that creates the synchronous client from the asynchronous client."""

from pathlib import Path

from tools.sync_client import CLIENT_DIR, generate_sync_client


def read_sources(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.py")}


def test_the_committed_client_is_up_to_date(tmp_path: Path) -> None:
    generate_sync_client(tmp_path)
    assert read_sources(tmp_path) == read_sources(CLIENT_DIR / "_sync"), "run `make sync`"


def test_the_synchronous_client_contains_nothing_async() -> None:
    source = " ".join(read_sources(CLIENT_DIR / "_sync").values())
    assert not [name for name in ("async ", "await ", "Async", "aread", "aclose") if name in source]
