"""Generates the synchronous client, dlkd_client/_sync, from dlkd_client/_async.

Run by `make sync`.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

CLIENT_DIR = Path(__file__).resolve().parent.parent / "dlkd_client"
_HTTPX_RENAMES = {
    "aread": "read",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "aiter_sse": "iter_sse",
    "aconnect_sse": "connect_sse",
}
_INIT_DOCSTRING = (
    '"""The synchronous client, generated from `dlkd_client/_async` by `make sync`."""\n'
)


def generate_sync_client(target: Path) -> None:
    """Generate the synchronous client in a folder and format it like the rest of the project."""
    sources = sorted((CLIENT_DIR / "_async").glob("*.py"))
    names = {
        name
        for source in sources
        for name in re.findall(r"\b(?:Async|async_|_async)\w*", source.read_text())
    }
    replacements = {name: re.sub(r"^(Async|async_)", "", name) for name in names}
    replacements |= {"_async": "_sync"} | _HTTPX_RENAMES
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(
            CLIENT_DIR / "_async",
            Path(folder) / "_async",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        rule = unasync.Rule(f"{folder}/_async", str(target), additional_replacements=replacements)
        unasync.unasync_files([str(path) for path in copy.glob("*.py")], [rule])
    (target / "__init__.py").write_text(_INIT_DOCSTRING)
    ruff = Path(sys.executable).with_name("ruff")
    for step in (["check", "--fix-only", "--select", "I"], ["format"]):
        command = [ruff, *step, "--quiet", "--config", "pyproject.toml", target.absolute()]
        subprocess.run(command, cwd=CLIENT_DIR.parent, check=True)  # noqa: S603 - fixed command


if __name__ == "__main__":
    generate_sync_client(CLIENT_DIR / "_sync")
