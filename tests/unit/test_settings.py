"""Settings: sources, aliases, and the sentences for wrong values."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from relume.database import database_url
from relume.errors import SettingsError
from relume.settings import Settings, load_settings, names_of
from relume.wiring.storage import storage_areas


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        for name in names_of(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_environment_comes_before_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.env").write_text("MAX_IMAGE_MB=1\nRATE_LIMIT_PER_MIN=1\nAPI_PORT=1\n")
    (tmp_path / ".env").write_text("RATE_LIMIT_PER_MIN=2\nAPI_PORT=2\n")
    monkeypatch.setenv("API_PORT", "3")
    settings = load_settings()
    assert (settings.max_image_mb, settings.rate_limit_per_min, settings.api_port) == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("HF_TOKEN", "huggingface_token"),
        ("HUGGINGFACE_TOKEN", "huggingface_token"),
        ("STORAGE_BASE_URL", "result_base_url"),
        ("RESULT_BASE_URL", "result_base_url"),
        ("AWS_REGION", "aws_region"),
        ("AWS_DEFAULT_REGION", "aws_region"),
        ("S3_ENDPOINT_URL", "s3_endpoint_url"),
        ("AWS_ENDPOINT_URL", "s3_endpoint_url"),
    ],
)
def test_both_names_work(monkeypatch: pytest.MonkeyPatch, name: str, field: str) -> None:
    monkeypatch.setenv(name, "http://value.example")
    assert "value.example" in str(getattr(load_settings(), field)) or field == "huggingface_token"
    assert getattr(load_settings(), field) is not None


@pytest.mark.parametrize(
    ("given", "broker", "redis"),
    [
        ({"REDIS_URL": "redis://a/1"}, "redis://a/1", "redis://a/1"),
        ({"CELERY_BROKER_URL": "rediss://a/1"}, "rediss://a/1", "rediss://a/1"),
        ({"CELERY_BROKER_URL": "redis://a", "REDIS_URL": "redis://b"}, "redis://a", "redis://b"),
        ({"CELERY_BROKER_URL": "amqp://a", "REDIS_URL": "redis://b"}, "amqp://a", "redis://b"),
        ({"CELERY_BROKER_URL": "amqp://a"}, "amqp://a", None),
        ({"CELERY_BROKER_URL": "", "REDIS_URL": ""}, None, None),
    ],
)
def test_the_broker_and_redis_are_one_setting_unless_both_are_given(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], broker: str | None, redis: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.celery_broker_url, settings.redis_url) == (broker, redis)


def test_an_empty_value_is_no_value_except_for_the_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "DASHBOARD_PORT", "RATE_LIMIT_PER_MIN", "HUGGINGFACE_SPACE_UPSCALE"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.api_key, settings.dashboard_port, settings.rate_limit_per_min) == (None, None, 10)
    assert settings.huggingface_space_upscale == ""


def test_an_alias_in_a_stronger_source_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.env").write_text("HUGGINGFACE_TOKEN=weak\nRESULT_BASE_URL=\n")
    (tmp_path / ".env").write_text("HF_TOKEN=strong\nSTORAGE_BASE_URL=http://a.example\n")
    settings = load_settings()
    assert settings.huggingface_token is not None
    assert settings.huggingface_token.get_secret_value() == "strong"
    assert settings.result_base_url == "http://a.example"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RATE_LIMIT_PER_MIN", "-1", "greater than or equal to 0"),
        ("MAX_IMAGE_MB", "0", "greater than 0"),
        ("RESTORE_ENABLED", "perhaps", "boolean"),
        ("PROVIDER", "magic", "auto"),
        ("CHAIN_UPSCALE", "builtin,magic", "'magic' is no provider"),
        ("RESULT_BASE_URL", "example.org", "http://"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO'"),
        ("REDIS_URL", "amqp://localhost", "redis://"),
        ("CELERY_BROKER_URL", "localhost:6379", "amqp://"),
        ("QUEUE_PREFIX", "a b", "pattern"),
        ("MODEL_DEFAULT", "magic", "restoration/gfpgans-1.4"),
        ("WEBHOOK_SECRET", "short", "whsec_"),
        ("WEBHOOK_SECRET", "whsec_" + "not base64 at all! " * 3, "base64"),
        ("STORAGE_DIR", "az://container", "'az://' is not known"),
        ("STORAGE_DIR", "s3://", "s3://bucket/prefix"),
        ("STORAGE_DIR", "s3://b", "s3://bucket/prefix"),
        ("STORAGE_DIR", "s3://user:hunter2@bucket", "s3://bucket/prefix"),
        ("STORAGE_DIR", "s3://bucket/a/../b", "prefix"),
        ("STORAGE_DIR", "s3://bucket/a?region=x", "prefix"),
        ("S3_ENDPOINT_URL", "minio:9000", "http://"),
        ("RESULT_DELIVERY", "pigeon", "'proxy' or 'redirect'"),
        ("RESULT_DELIVERY", "redirect", "STORAGE_DIR is a folder"),
        ("RESULT_LINK_SECONDS", "9", "greater than or equal to 10"),
        ("REPLICATE_MOCK_DELAY_MIN", "60", "REPLICATE_MOCK_DELAY_MAX"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert name in caught.value.detail
    assert words in caught.value.detail


def test_secrets_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hunter2")
    monkeypatch.setenv("WEBHOOK_SECRET", "hunter2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in caught.value.detail
    monkeypatch.delenv("WEBHOOK_SECRET")
    assert "hunter2" not in repr(load_settings())


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings().api_port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "spelling",
    [
        "postgres",
        "postgres+psycopg2",
        "postgresql",
        "postgresql+asyncpg",
        "postgresql+psycopg2",
        "postgresql+psycopg",
    ],
)
def test_every_spelling_of_a_postgresql_url_works(spelling: str) -> None:
    url = database_url(load_settings(database_url=f"{spelling}://u:p@h:5/d"))
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://u:p@h:5/d"


def test_the_sslmode_of_other_drivers_is_understood() -> None:
    url = database_url(load_settings(database_url="postgresql://h/d?sslmode=require"))
    assert dict(url.query) == {"ssl": "require"}


@pytest.mark.parametrize(
    ("uploads", "results"), [("x", "x"), ("x", "x/y"), ("x/y", "x"), ("x", "./x/../x"), (".", "x")]
)
def test_folders_that_lie_in_each_other_are_refused(uploads: str, results: str) -> None:
    with pytest.raises(SettingsError, match="PROCESSED_FOLDER"):
        storage_areas(load_settings(upload_folder=uploads, processed_folder=results))


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("s3://photos", ""),
        ("s3://photos/", ""),
        ("S3://photos/a/b/", "a/b/"),
    ],
)
def test_areas_of_a_bucket_are_prefixes(url: str, prefix: str) -> None:
    settings = load_settings(storage_dir=url)
    assert settings.bucket is not None
    assert settings.bucket.name == "photos"
    areas = ("temp_uploads", "processed_images", "media", "metadata")
    found = [area.as_posix() for area in storage_areas(settings).values()]
    assert found == [f"{prefix}{area}" for area in areas]


@pytest.mark.parametrize("folder", ["/srv/uploads", "../uploads", "a/../../uploads"])
def test_areas_of_a_bucket_lie_in_it(folder: str) -> None:
    with pytest.raises(SettingsError, match="STORAGE_DIR is a bucket"):
        storage_areas(load_settings(storage_dir="s3://photos", upload_folder=folder))


def test_half_a_key_of_a_bucket_is_refused() -> None:
    with pytest.raises(SettingsError, match="belong together"):
        load_settings(storage_dir="s3://photos", aws_access_key_id="AKID")
    load_settings(aws_access_key_id="AKID")  # Meant for something else on this machine.


def test_a_bucket_needs_a_database_elsewhere() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        database_url(load_settings(storage_dir="s3://photos"))
    assert database_url(load_settings(storage_dir="s3://photos", database_url="postgresql://h/d")).host == "h"


@pytest.mark.parametrize("wrong", ["mysql://h/d", "nonsense", "http://"])
def test_other_databases_are_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        database_url(load_settings(database_url=wrong))


def test_the_default_database_lies_below_the_storage_folder(tmp_path: Path) -> None:
    url = database_url(load_settings(storage_dir=str(tmp_path)))
    assert url.database == str(tmp_path / "relume.sqlite3")
