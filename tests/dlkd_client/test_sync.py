"""The client without async is the one with it, and nothing else."""

from pathlib import Path

from tools.sync_client import CLIENT, write


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.py")}


def test_the_committed_client_is_what_make_sync_writes(tmp_path: Path) -> None:
    write(tmp_path)
    assert texts(tmp_path) == texts(CLIENT / "_sync"), "run `make sync`"


def test_nothing_async_is_left_in_it() -> None:
    words = " ".join(texts(CLIENT / "_sync").values())
    assert not [word for word in ("async ", "await ", "Async", "aread", "aclose") if word in words]
