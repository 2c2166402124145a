"""The service that `dlkd login` remembers: address and key in the user's config folder, for the user's eyes alone."""

import json
import os
from pathlib import Path

import platformdirs


def file() -> Path:
    """Where it stands, by the platform's rules (XDG on Linux)."""
    return Path(platformdirs.user_config_dir("dlkd")) / "login.json"


def known() -> tuple[str, str] | None:
    """Address and key; None where nobody has logged in."""
    if not file().exists():
        return None
    login = json.loads(file().read_text())
    return str(login["url"]), str(login["api_key"])


def remember(url: str, api_key: str) -> Path:
    """Keeps them, readable by the user alone from the first byte on."""
    file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file().with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump({"url": url, "api_key": api_key}, opened)
    new.replace(file())
    return file()


def forget() -> bool:
    """Whether there was something to forget."""
    there = file().exists()
    file().unlink(missing_ok=True)
    return there
