"""Dockerfile and compose.yaml. No engine runs them here: each word in them is held against what it stands for."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import flower.options  # noqa: F401 (registers its options)
import pytest
import typer
import yaml
from flower.urls import handlers
from tornado.options import options as flower_options

from relume.cli.main import app
from relume.http.app import create_app
from relume.settings import Settings, load_settings, names_of

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE, COMPOSE = ROOT / "Dockerfile", ROOT / "compose.yaml"
SETTINGS = {name for field in Settings.model_fields for name in names_of(field)}
OF_POSTGRES = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
OF_PYTHON = {"PATH", "PYTHONUNBUFFERED", "PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK"}
RELUME_SERVICES = ("api", "worker")

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    return cast("dict[str, Service]", yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"])


def instructions(name: str) -> list[str]:
    """What follows each instruction of that name, with its continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.findall(rf"^{name} (.+)$", text.replace("\\\n", ""), re.MULTILINE)


# The whole files, by programs that know their languages


def fits_the_schema(file: Path) -> bool:
    command = [
        *(sys.executable, "-m", "check_jsonschema"),
        *("--builtin-schema", "vendor.compose-spec"),
        str(file),
    ]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def is_clean(file: Path) -> bool:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not to be had for this system")
    return subprocess.run([hadolint, str(file)], capture_output=True, check=False, timeout=60).returncode == 0


def test_the_compose_file_fits_the_specification() -> None:
    assert fits_the_schema(COMPOSE)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("    mem_limit: 2g", "    memory_limit: 2g"),
        ("condition: service_healthy", "condition: when_healthy"),
        ("services:", "service:"),
    ],
)
def test_a_broken_compose_file_is_found_out(tmp_path: Path, right: str, wrong: str) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / "compose.yaml"
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    assert not fits_the_schema(broken)


def test_the_dockerfile_is_clean() -> None:
    assert is_clean(DOCKERFILE)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ARG PYTHON_TAG=3.11-slim-bookworm", "ARG PYTHON_TAG=latest\nFROM python"),
        ("WORKDIR /data", "WORKDIR data"),
        ('ENTRYPOINT ["relume"]', "ENTRYPOINT relume"),
        ("COPY src src", "COPI src src"),
    ],
)
def test_a_broken_dockerfile_is_found_out(tmp_path: Path, right: str, wrong: str) -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / "Dockerfile"
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    assert not is_clean(broken)


# What the Dockerfile says


def test_what_is_copied_exists_and_is_sent_to_the_build() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line[0] == "!"]
    sources = [part for line in instructions("COPY") if "--from" not in line for part in line.split()[:-1]]
    assert "pyproject.toml" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, rule[1:]) for rule in rules), f"{source} is ignored"


def test_what_the_package_is_built_from_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    copied = {part for line in instructions("COPY") for part in line.split()}
    readme = re.findall(r'^readme = "(.+)"$', project, re.MULTILINE)
    licences = re.findall(r'^license-files = \["(.+)"\]$', project, re.MULTILINE)
    packages = re.findall(r'^packages = \["(.+)/relume"\]$', project, re.MULTILINE)
    assert readme
    assert licences
    assert packages
    assert {*readme, *licences, *packages, "pyproject.toml"} <= copied


def test_the_image_runs_without_rights_and_stops_gracefully() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("ENTRYPOINT") == ['["relume"]']
    assert all(":" in image and "latest" not in image for image in instructions("FROM"))


def test_the_image_sets_real_settings_to_values_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [pair for line in instructions("ENV") for pair in re.findall(r"(\w+)=(\S+)", line)]
    given = {name: value for name, value in pairs if name not in OF_PYTHON}
    assert set(given) <= SETTINGS
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert str(settings.api_port) == instructions("EXPOSE")[0]
    assert str(settings.storage_folder) == instructions("VOLUME")[0]


def test_the_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(
        r"^([a-z]+) = \[", project.partition("[project.optional-dependencies]")[2], re.MULTILINE
    )
    (default,) = [arg.partition("=")[2] for arg in instructions("ARG") if arg.startswith("EXTRAS")]
    assert set(default.split(",")) <= set(extras)
    assert f"${{EXTRAS:-{default}}}" in COMPOSE.read_text(encoding="utf-8")


# What the compose file says


def test_it_has_the_five_services_with_limits_and_a_restart(services: dict[str, Service]) -> None:
    assert set(services) == {"postgres", "redis", "api", "worker", "flower"}
    for name, service in services.items():
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["restart"] == "unless-stopped", name
        assert ":" in service["image"], name
        assert not service["image"].endswith(":latest"), name


def test_each_variable_is_one_that_its_program_reads(services: dict[str, Service]) -> None:
    for name in RELUME_SERVICES:
        assert set(services[name]["environment"]) <= SETTINGS, name
    assert set(services["postgres"]["environment"]) <= OF_POSTGRES
    for name in services["flower"]["environment"]:
        assert name.removeprefix("FLOWER_").lower() in flower_options, name


def test_secrets_come_from_the_env_file_alone() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    for line in text.splitlines():
        if re.search(r"^\s+\w*(PASSWORD|AUTH|SECRET|TOKEN|KEY)\w*: ", line):
            assert re.search(r": \$\{\w+:\?", line), line
    assert re.findall(r"://\w+:(?!\$\{)[^@/\s]+@", text) == []


def test_what_a_service_waits_for_exists_and_can_be_waited_for(services: dict[str, Service]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, (name, needed)
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed] or instructions("HEALTHCHECK"), (name, needed)
    volumes = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    used = {
        volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])
    }
    assert used == set(volumes)


def test_addresses_within_lead_to_services_and_their_ports(services: dict[str, Service]) -> None:
    ports = {"postgres": "5432", "redis": "6379"}
    found = re.findall(r"(?:@|redis://)(\w+):(\d+)", COMPOSE.read_text(encoding="utf-8"))
    assert set(found) == set(ports.items())
    assert services["api"]["ports"] == [f"127.0.0.1:8000:{instructions('EXPOSE')[0]}"]
    assert services["api"]["environment"]["API_PORT"] == instructions("EXPOSE")[0]
    (port,) = re.findall(r"--port=(\d+)", " ".join(services["flower"]["command"]))
    assert services["flower"]["ports"] == [f"127.0.0.1:5555:{port}"]


def test_the_settings_of_the_services_load(
    services: dict[str, Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in services["api"]["environment"].items():
        filled = re.sub(r"\$\{\w+:\?[^}]*\}", "secret", value)
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", filled))
    settings = load_settings()
    assert settings.database_url == "postgresql://relume:secret@postgres:5432/relume"
    assert settings.celery_broker_url == "redis://redis:6379/0"


def relume_commands() -> list[list[str]]:
    whole = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    written = [whole[name]["command"] for name in RELUME_SERVICES]
    (default,) = instructions("CMD")
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    told = re.findall(
        r"^docker compose (?:run --rm|exec) (?:api|worker) (?:relume )?(.+?)(?: +#.*)?$", page, re.MULTILINE
    )
    assert told
    return [*written, yaml.safe_load(default), *(line.split() for line in told)]


@pytest.mark.parametrize("arguments", relume_commands(), ids=" ".join)
def test_every_relume_command_line_parses(arguments: list[str]) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    command, rest = group.commands[arguments[0]], list(arguments[1:])
    if isinstance(command, typer.core.TyperGroup):
        command = command.commands[rest.pop(0)]
    command.make_context(arguments[0], rest)  # Parses; runs nothing.


def test_health_is_asked_at_addresses_that_exist(services: dict[str, Service], tmp_path: Path) -> None:
    (asked,) = re.findall(r"'GET', '(/\w+)'", instructions("HEALTHCHECK")[0])
    assert asked in create_app(load_settings(storage_dir=str(tmp_path))).openapi()["paths"]
    (url,) = re.findall(r"127\.0\.0\.1:5555(/\w+)", " ".join(services["flower"]["healthcheck"]["test"]))
    assert url in {handler[0] for handler in handlers if isinstance(handler, tuple)}
