"""Settings."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from registry.queue import make_celery, queue_folder
from registry.settings import Settings

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"


def test_without_settings_everything_lies_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.data == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/dlkd.db"
    assert settings.broker_url == f"filesystem://{tmp_path}/data/queue"
    assert settings.store_url == f"file://{tmp_path}/data/store"


def test_urls_replace_the_embedded_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_DATABASE_URL", "postgresql://db/dlkd")
    assert Settings().database_url == "postgresql://db/dlkd"


def test_an_unknown_name_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_SLOT", "2")
    with pytest.raises(ValidationError, match="no setting called DLKD_SLOT"):
        Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_a_lease_is_renewed_well_before_its_end() -> None:
    assert Settings(lease_seconds=60).heartbeat_seconds == 1
    assert Settings(lease_seconds=2).heartbeat_seconds == 0.5


def test_the_example_lists_every_setting_and_no_other() -> None:
    names = re.findall(r"^#? ?(DLKD_\w+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(f"DLKD_{name.upper()}" for name in Settings.model_fields)


def test_the_file_queue_is_private(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    make_celery(settings)
    folder = queue_folder(settings.broker_url)
    assert folder == tmp_path / "queue"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())] == ["0o700"] * 4
