"""Stores the address and key for `dlkd login`, in a file that only the user can read."""

import json
import os
from pathlib import Path

import platformdirs


def credentials_file() -> Path:
    """Return the path of the credentials file, which follows the platform's conventions."""
    return Path(platformdirs.user_config_dir("dlkd")) / "login.json"


def load_credentials() -> tuple[str, str] | None:
    """Return the saved address and key, or None if there are none."""
    if not credentials_file().exists():
        return None
    login = json.loads(credentials_file().read_text())
    return str(login["url"]), str(login["api_key"])


def save_credentials(url: str, api_key: str) -> Path:
    """Save the address and key in a file that other users can never read."""
    file = credentials_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private_file(file, json.dumps({"url": url, "api_key": api_key}))
    return file


def delete_credentials() -> bool:
    """Delete the saved credentials and return whether there were any."""
    existed = credentials_file().exists()
    credentials_file().unlink(missing_ok=True)
    return existed


def write_private_file(file: Path, text: str) -> None:
    """Replace a file with one that other users can never read."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    new.replace(file)
