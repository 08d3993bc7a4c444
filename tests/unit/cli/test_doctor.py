"""The doctor: what it finds, and that it always answers."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relume.cli import main as program
from relume.cli.checkup import machine, service
from relume.cli.checkup.finding import Finding, Status, examine, ok, warning
from relume.database import Database, database_url
from relume.errors import SettingsError
from relume.imaging.photo import Photo
from relume.pipeline import Pipeline
from relume.ports import Result, RunContext
from relume.providers.generic import GenericProvider
from relume.settings import Settings, load_settings
from relume.tasks import Task
from tests.buckets import SECRET_KEY, Bucket, Fault, bucket, s3_server
from tests.peers import missing
from tests.servers import RedisServer

__all__ = ["bucket", "s3_server"]  # Fixtures.


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELUME_HOME", raising=False)


@pytest.fixture
def settings() -> Settings:
    return load_settings()


def doctor() -> tuple[int, str]:
    result = CliRunner().invoke(program.app, ["doctor"])
    return result.exit_code, " ".join(result.output.split())


def test_every_format_can_be_read_here() -> None:
    assert machine.codecs().status is Status.OK


def test_a_codec_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_survives", lambda format_: format_ != "heic")
    finding = machine.codecs()
    assert finding.status is Status.FAILED
    assert finding.details.endswith(": heic")


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_free_memory_bytes", lambda: 10**9)
    assert machine.memory().status is Status.WARNING


def test_a_broken_gpu_driver_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "nvidia-smi")
    answer = subprocess.CompletedProcess([], 9, "", "")
    monkeypatch.setattr("subprocess.run", lambda *_args, **_options: answer)
    assert machine.graphics().status is Status.WARNING


def test_the_machine_is_described() -> None:
    assert "cores" in machine.processor().details
    assert machine.memory().status in (Status.OK, Status.WARNING)
    assert f"Python {sys.version_info.major}" in machine.python().details


def test_the_files_and_variables_that_set_something_are_named(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.env").write_text("HF_TOKEN=secret\n")
    monkeypatch.setenv("API_PORT", "8000")
    details = service.settings_sources(settings).details
    assert "config.env" in details
    assert "API_PORT" in details
    assert "secret" not in details


def test_a_misspelt_setting_is_a_warning(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / ".env").write_text("API_PROT=8000\n")
    finding = service.settings_sources(settings)
    assert finding.status is Status.WARNING
    assert "API_PROT" in finding.details


def test_storage_is_checked_without_leaving_anything(tmp_path: Path, settings: Settings) -> None:
    assert service.storage(settings).status in (Status.OK, Status.WARNING)
    assert list(tmp_path.iterdir()) == []


def test_storage_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    finding = service.storage(load_settings(storage_dir=str(tmp_path / "file")))
    assert finding.status is Status.FAILED


def test_a_port_in_use_is_a_warning() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = load_settings(api_port=server.getsockname()[1])
        assert service.port(taken).status is Status.WARNING
    assert service.port(load_settings(api_port=0)).status is Status.OK


def test_a_database_that_is_not_there_yet_is_fine_and_stays_away(tmp_path: Path, settings: Settings) -> None:
    assert "the first start creates it" in service.database(settings).details
    assert list(tmp_path.iterdir()) == []


async def test_a_database_is_asked_whether_its_tables_are_current(tmp_path: Path) -> None:
    url = database_url(load_settings(database_url=f"sqlite:///{tmp_path}/jobs.sqlite3"))
    database = Database(url)
    try:
        await database.check()
        assert "the next start brings its tables up to date" in (await service.look_at(url, "here")).details
        await database.upgrade()
        assert (await service.look_at(url, "here")).details == "here"
    finally:
        await database.close()


def test_a_database_that_cannot_be_reached_is_a_failure_without_its_password() -> None:
    finding = service.database(load_settings(database_url="postgresql://user:hunter2@127.0.0.1:1/jobs"))
    assert finding.status is Status.FAILED
    assert "hunter2" not in finding.details


def test_what_works_offline_is_listed(settings: Settings) -> None:
    assert "restoration/builtin-1" in service.offline(settings).details
    assert "builtin: on this machine" in service.providers(settings).details


class Idle(GenericProvider):
    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        return Result(photo, "idle", "none", "1", changed=False)


def test_a_restorer_that_does_nothing_is_a_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "build_pipeline", lambda _settings: Pipeline(lambda _recipe: Idle()))
    assert service.self_test(settings).status is Status.FAILED


def test_the_restorer_is_tested_whatever_provider_is_pinned() -> None:
    assert service.self_test(load_settings(provider="generic")).status is Status.OK


def test_a_check_that_breaks_is_a_finding_and_the_others_still_run() -> None:
    def broken() -> Finding:
        raise ZeroDivisionError("of all things")

    def misconfigured() -> Finding:
        raise SettingsError("PROVIDER is wrong.")

    findings = examine(
        [("a", broken), ("b", misconfigured), ("c", lambda: ok("c", "")), ("d", lambda: warning("d", ""))]
    )
    assert [finding.status.value for finding in findings] == ["failed", "failed", "ok", "warning"]
    assert findings[0].details == "ZeroDivisionError: of all things"
    assert findings[1].details == "PROVIDER is wrong."


def test_a_package_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "relume.cli.checkup.service", None)
    monkeypatch.delattr("relume.cli.checkup.service")
    code, text = doctor()
    assert code == 1
    assert "installation failed" in text


def test_a_healthy_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "0")
    code, text = doctor()
    assert "failed" not in text
    assert code == 0
    assert "removed" in text, "the built-in restorer proves itself"


def test_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "eighty")
    code, text = doctor()
    assert code == 1
    assert "API_PORT is wrong" in text


# A bucket


def bucket_settings(bucket: Bucket, **changed: str) -> Settings:
    return load_settings(**bucket.settings(database_url="sqlite:///jobs.sqlite3") | changed)


def test_a_bucket_is_written_and_read_and_left_clean(bucket: Bucket) -> None:
    finding = service.storage(bucket_settings(bucket))
    assert (finding.status, finding.details.split()[0]) == (Status.OK, f"s3://{bucket.name}/relume")
    assert bucket.keys() == []


def test_a_bucket_that_cannot_be_used_is_a_failure_in_one_sentence(bucket: Bucket) -> None:
    missing = service.storage(bucket_settings(bucket, storage_dir="s3://no-such-bucket"))
    away = service.storage(bucket_settings(bucket, s3_endpoint_url="http://127.0.0.1:1"))
    bucket.server.faults += [Fault(method, "403 Forbidden") for method in ("GET", "PUT", "POST", "HEAD")]
    refused = service.storage(bucket_settings(bucket))
    assert [finding.status for finding in (missing, away, refused)] == [Status.FAILED] * 3
    assert missing.details == "s3://no-such-bucket cannot be used: there is no such bucket"
    assert "cannot be reached" in away.details
    assert "refuses these credentials" in refused.details
    assert SECRET_KEY not in missing.details + away.details + refused.details


def test_a_bucket_without_a_database_is_a_finding(bucket: Bucket) -> None:
    (finding,) = examine([("database", lambda: service.database(load_settings(**bucket.settings())))])
    assert "DATABASE_URL" in finding.details


def test_a_broker_that_cannot_be_reached_is_a_failure_without_its_password() -> None:
    with socket.socket() as taken:  # Bound and not listened on: nobody answers there.
        taken.bind(("127.0.0.1", 0))
        url = f"redis://:hidden@127.0.0.1:{taken.getsockname()[1]}/0"
        found = service.broker(load_settings(celery_broker_url=url))
    assert found.status is Status.FAILED
    assert "cannot be reached" in found.details
    assert "hidden" not in found.details


def test_a_broker_that_answers_is_fine(tmp_path: Path) -> None:
    if RedisServer.program is None:
        missing("redis-server")
    with RedisServer(tmp_path) as server:
        found = service.broker(load_settings(celery_broker_url=server.url))
    assert found == ok("broker", server.url.removesuffix("/0"))


def test_no_broker_is_fine(settings: Settings) -> None:
    assert service.broker(settings).status is Status.OK
