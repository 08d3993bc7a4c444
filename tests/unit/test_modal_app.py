"""modal_app.py builds its app with the real library, offline, and what it would run there runs here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import FastAPI

from tests import photos

FILE = Path(__file__).resolve().parents[2] / "modal_app.py"


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("modal")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RELUME_MODAL_GPU", "A10G")
    spec = importlib.util.spec_from_file_location("modal_app", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["web", "restore"])
def test_each_function_has_the_gpu_asked_for_the_weights_and_the_secret(
    deployment: ModuleType, name: str
) -> None:
    spec = getattr(deployment, name)._spec_
    assert spec.gpus == "A10G"
    assert str(spec.secrets) == "[modal.Secret.from_name('relume')]"
    assert list(spec.volumes) == [deployment.WEIGHTS_DIR]


def test_the_service_is_the_one_that_runs_everywhere(deployment: ModuleType) -> None:
    with pytest.warns(UserWarning, match="executing locally"):
        service = deployment.web.local()
    assert isinstance(service, FastAPI)
    assert "/enhance" in service.openapi()["paths"]


async def test_a_photo_is_restored_as_it_would_be_there(deployment: ModuleType) -> None:
    with pytest.warns(UserWarning, match="executing locally"):
        made = await deployment.restore.local(photos.encoded("PNG"), "enlarging/builtin-1", 2)
    assert photos.opened(made).size == (128, 96)


def test_the_source_folder_and_the_project_file_are_there(deployment: ModuleType) -> None:
    assert (deployment.ROOT / "src" / "relume" / "__init__.py").exists()
    assert (deployment.ROOT / "pyproject.toml").exists()
