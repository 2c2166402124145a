"""Settings, and their agreement with `.env.example`."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from registry.db.database import make_engine
from registry.jobs.job_queue import filesystem_broker_folder, make_celery
from registry.settings import Settings, format_errors
from registry.storage.object_store import Store

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"


def test_by_default_everything_is_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.data == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/dlkd.db"
    assert settings.broker_url == f"filesystem://{tmp_path}/data/queue"
    assert settings.store_url == f"file://{tmp_path}/data/store"


@pytest.mark.parametrize(
    "name",
    ["My Data", "Données é", "50%20off", "project #1", "what?now", "a+b@c:d;e&f=g'h\"i\\j", "[x]"],
)
def test_everything_stays_in_a_data_folder_with_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    settings = Settings(data=folder)
    with make_engine(settings.database_url).connect():
        pass
    make_celery(settings)
    store = Store(settings.store_url)
    stored = store.put([b"content"])
    assert b"".join(store.read(stored.digest)) == b"content"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in folder.iterdir()} >= {"dlkd.db", "queue", "store"}


def test_urls_replace_the_embedded_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_DATABASE_URL", "postgresql://db/dlkd")
    assert Settings().database_url == "postgresql://db/dlkd"


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_SLOT", "2")
    with pytest.raises(ValidationError, match="no setting named DLKD_SLOT"):
        Settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_a_lease_is_renewed_well_before_it_expires() -> None:
    assert Settings(lease_seconds=60).heartbeat_seconds == 1
    assert Settings(lease_seconds=2).heartbeat_seconds == 0.5


def test_the_example_lists_exactly_the_settings() -> None:
    names = re.findall(r"^#? ?(DLKD_\w+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(f"DLKD_{name.upper()}" for name in Settings.model_fields)


def test_the_file_queue_is_private(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    make_celery(settings)
    folder = filesystem_broker_folder(settings.broker_url)
    assert folder == tmp_path / "queue"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())] == [
        "0o700"
    ] * 4


def test_an_unknown_name_in_the_env_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DLKD_SLOTS=3\nDLKD_LEASE=2\nOTHER=1\n")
    with pytest.raises(ValidationError, match="no setting named DLKD_LEASE\\."):
        Settings()
    (tmp_path / ".env").write_text("DLKD_SLOTS=3\nOTHER=1\n")
    assert Settings().slots == 3


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_WORKER_METRICS_PORT", "")
    assert Settings().worker_metrics_port is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"database_url": "mysql://db/dlkd"},
            "DLKD_DATABASE_URL has the unsupported URL scheme 'mysql'",
        ),
        ({"broker_url": "sqla+sqlite:///x"}, "DLKD_BROKER_URL has the unsupported URL scheme"),
        ({"store_url": "/srv/store"}, "DLKD_STORE_URL has the unsupported URL scheme ''"),
        ({"store_url": "file:///srv/what?"}, "DLKD_STORE_URL must not contain ? or #"),
        ({"broker_url": "filesystem:///srv/#1"}, "DLKD_BROKER_URL must not contain ? or #"),
        ({"metrics": "token"}, "requires DLKD_METRICS_TOKEN"),
        ({"metrics_token": "0123456789abcdef"}, "has no effect with DLKD_METRICS=loopback"),
        ({"metrics": "token", "metrics_token": "short"}, "at least 16"),
        ({"store_public_url": "https://files.example.org"}, "requires an s3:// store"),
        ({"worker_metrics_port": 8000}, "must differ from the port of the API"),
    ],
)
def test_contradictory_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Settings(**values)


def test_errors_name_the_setting_but_not_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DLKD_SLOTS", "many")
    monkeypatch.setenv("DLKD_METRICS_TOKEN", "5ecret")
    with pytest.raises(ValidationError) as caught:
        Settings()
    message = format_errors(caught.value)
    assert "DLKD_SLOTS: Input should be a valid integer" in message
    assert "DLKD_METRICS_TOKEN: " in message
    assert "many" not in message + str(caught.value)
    assert "5ecret" not in message + str(caught.value)


def test_secrets_are_not_shown() -> None:
    assert "0123456789" not in repr(Settings(metrics="token", metrics_token="0123456789abcdef"))  # type: ignore[arg-type]


def test_the_values_in_the_example_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = dict(re.findall(r"^# (DLKD_\w+)=(.+)$", EXAMPLE.read_text(), re.MULTILINE))
    defaults = Settings()
    assert len(examples) > 20
    for name, value in examples.items():
        monkeypatch.setenv(name, value)
    assert Settings() == defaults
