"""Relume on Modal's serverless GPUs: `modal deploy modal_app.py`. docs/running.md says what to prepare.

web       the whole service at one address: API, dashboard and worker in one container
restore   one photo a call, on as many containers as there are calls: for scripts and large folders

Both read weights from one volume, and settings from one secret.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import modal

ROOT = Path(__file__).resolve().parent
GPU = os.environ.get("RELUME_MODAL_GPU", "T4")
WEIGHTS_DIR = "/weights"
SOURCE_DIR = "/relume/src"
IDLE_SECONDS = 300
"""A container that nobody asks is stopped after this, with what it still works on: clients poll sooner."""
LONGEST_CALL_SECONDS = 900

image = (
    modal.Image.debian_slim(python_version="3.12")
    .pip_install_from_pyproject(str(ROOT / "pyproject.toml"), optional_dependencies=["distributed", "local"])
    .env({"PYTHONPATH": SOURCE_DIR, "WEIGHTS_DIR": WEIGHTS_DIR, "STORAGE_DIR": "/tmp/relume"})  # noqa: S108
    .add_local_dir(ROOT / "src", SOURCE_DIR, ignore=["**/__pycache__"])
)
app = modal.App(
    "relume",
    image=image,
    secrets=[modal.Secret.from_name("relume")],
    volumes={WEIGHTS_DIR: modal.Volume.from_name("relume-weights", create_if_missing=True)},
)


@app.function(gpu=GPU, max_containers=1, scaledown_window=IDLE_SECONDS, timeout=LONGEST_CALL_SECONDS)
@modal.concurrent(max_inputs=100)
@modal.asgi_app()
def web() -> Any:
    """One container, for its disk and its SQLite file are its own and end with it.

    With DATABASE_URL in the secret, a job outlives the container.
    """
    from relume.http.app import create_app
    from relume.settings import load_settings

    return create_app(load_settings())


@app.function(gpu=GPU, timeout=LONGEST_CALL_SECONDS)
async def restore(data: bytes, model_id: str | None = None, scale: int = 2, strength: float = 1.0) -> bytes:
    """A restored photo's file. Raises relume.errors.RelumeError."""
    from relume.imaging.limits import WIDE
    from relume.ports import RunContext
    from relume.recipes import build
    from relume.settings import load_settings
    from relume.wiring.providers import build_pipeline

    settings = load_settings()
    recipe = build(model_id or settings.model_default, strength=strength, scale=scale)
    return (await build_pipeline(settings).run(data, recipe, WIDE, RunContext())).data


@app.local_entrypoint()
def main(photo: str, output: str, model: str = "", scale: int = 2) -> None:
    """`modal run modal_app.py --photo old.jpg --output new.jpg`: one photo, there and back."""
    made = restore.remote(Path(photo).read_bytes(), model or None, scale)
    with Path(output).open("xb") as file:  # Never over an existing file.
        file.write(made)
