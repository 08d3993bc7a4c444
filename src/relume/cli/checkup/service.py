"""Relume as it is configured here."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import cv2
import numpy as np
from dotenv import dotenv_values
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from relume.builtin.nets import Nets
from relume.cli.checkup.finding import Finding, failed, ok, warning
from relume.database import Database, database_url
from relume.imaging.limits import WIDE
from relume.ports import RunContext
from relume.providers.catalog import Catalog
from relume.recipes import build, listed_models
from relume.settings import FILES, Settings, names_of
from relume.wiring.providers import build_pipeline
from relume.wiring.roles import refuse_what_is_not_here
from relume.wiring.storage import build_store

Raster = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

GIGABYTE = 10**9
FREE_DISK_WANTED_GB = 1.0
_BROKER_SECONDS = 3
SELF_TEST_MODEL = "restoration/builtin-1"
SELF_TEST_NOISE = 14.0
"""Standard deviation in grey levels: plain to see, and well within what a gentle denoiser removes."""


def settings_sources(settings: Settings) -> Finding:
    """Where values come from, and names in the files that no setting has: most are misspelt."""
    refuse_what_is_not_here(settings)
    files = [file for file in FILES if file.is_file()]
    unknown = [name for file in files for name in dotenv_values(file) if name.upper() not in _known_names()]
    if unknown:
        return warning("settings", f"{', '.join(unknown)} in {_names(files)}: no setting has that name")
    from_environment = sorted(name for name in os.environ if name.upper() in _known_names())
    sources = [*(str(file) for file in files), *from_environment]
    return ok("settings", f"valid; from {', '.join(sources) if sources else 'the defaults'}")


def storage(settings: Settings) -> Finding:
    """Nothing is created that stays: the folder itself is made by the first start."""
    if settings.bucket:
        # Under asyncio's own loop, obstore may still be in a callback when this short-lived process ends, and
        # abort it; uvloop's wake-up leaves no such moment.
        with_uvloop = {"use_uvloop": find_spec("uvloop") is not None}
        return anyio.run(look_into, settings, backend_options=with_uvloop)
    folder = settings.storage_folder
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return failed("storage", f"{folder} cannot be written ({error.strerror})")
    free_gb = shutil.disk_usage(existing).free / GIGABYTE
    say = warning if free_gb < FREE_DISK_WANTED_GB else ok
    return say("storage", f"{folder}, {free_gb:.1f} GB free")


async def look_into(settings: Settings) -> Finding:
    try:
        await build_store(settings).check()
    except OSError as error:
        return failed("storage", f"{settings.storage_dir} cannot be used: {error}")
    return ok("storage", f"{settings.storage_dir} can be written and read, and never overwrites")


def database(settings: Settings) -> Finding:
    url = database_url(settings)
    where = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return ok("database", f"{where}; the first start creates it")
    return anyio.run(look_at, url, where)


async def look_at(url: URL, where: str) -> Finding:
    database = Database(url)
    try:
        current = await database.is_current()
    except (SQLAlchemyError, OSError) as error:
        return failed("database", f"{where} cannot be used ({str(error).splitlines()[0]})")
    finally:
        await database.close()
    return ok("database", where if current else f"{where}; the next start brings its tables up to date")


def broker(settings: Settings) -> Finding:
    """Whether jobs could be handed to workers. Whether any worker listens is `/health/detailed`'s to say."""
    if not settings.celery_broker_url:
        return ok("broker", "none is set: the service runs the jobs itself")
    from relume.queues.celery_app import make_app

    parts = urlsplit(settings.celery_broker_url.split(";")[0])
    where = f"{parts.scheme}://{parts.hostname}:{parts.port or 'its usual port'}"  # Without a password.
    try:
        with make_app(settings, ()).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_BROKER_SECONDS)
    except Exception as error:  # noqa: BLE001 (each transport raises its own)
        return failed("broker", f"{where} cannot be reached ({type(error.__cause__ or error).__name__})")
    return ok("broker", where)


def port(settings: Settings) -> Finding:
    where = f"{settings.api_host}:{settings.api_port}"
    try:
        family, kind, *_, address = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as listener:
            if os.name == "posix":  # As the server does: a port that was in use a moment ago is free.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return warning("port", f"{where} cannot be used now ({error.strerror}); is Relume already running?")
    return ok("port", f"{where} is free")


def providers(settings: Settings) -> Finding:
    catalog = Catalog(settings)
    states = [
        f"{provider.name}: {provider.unavailable() or ('on this machine' if provider.is_local else 'ready')}"
        for provider in catalog.providers
    ]
    usable = [provider for provider in catalog.providers if provider.unavailable() is None]
    return (ok if usable else failed)("providers", "; ".join(states) or "none is configured")


def offline(settings: Settings) -> Finding:
    """Which models need no network."""
    catalog = Catalog(settings)
    local = [card.id for card in listed_models() if _works_offline(catalog, card.id, card.scales[0])]
    if not local:
        return warning("offline", "no model works without a network")
    return ok("offline", f"these models work without a network: {', '.join(local)}")


def networks(settings: Settings) -> Finding:
    """Each network that ships with Relume is loaded once."""
    nets = Nets(quality=settings.builtin_quality, precision=settings.local_precision)
    if not nets.table.cards:
        return ok("built-in networks", "none ships with this version; the classical steps are used")
    loaded = [net.title for name in nets.table.cards if (net := nets.get(name))]
    if nets.problem:
        return warning("built-in networks", f"{nets.problem}; the classical steps are used")
    return ok("built-in networks", f"{', '.join(loaded)}; BUILTIN_QUALITY is {nets.quality}")


def self_test(settings: Settings) -> Finding:
    """A small noisy photo has to come back nearer to what it was."""
    clean = _sample()
    noise = np.random.default_rng(7).normal(0, SELF_TEST_NOISE, clean.shape)
    damaged = np.clip(clean + noise, 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".png", damaged)
    pipeline = build_pipeline(settings.model_copy(update={"provider": "builtin"}))
    recipe = build(SELF_TEST_MODEL, strength=1.0)
    restored = anyio.run(pipeline.run, encoded.tobytes(), recipe, WIDE, RunContext())
    result = cv2.imdecode(np.frombuffer(restored.data, np.uint8), cv2.IMREAD_COLOR)
    if result is None:
        return failed("built-in restorer", "gave no image for a test photo")
    before, after = _error(damaged, clean), _error(result, clean)
    if after >= before:
        return failed("built-in restorer", "did not improve a test photo")
    return ok("built-in restorer", f"removed {1 - after / before:.0%} of the noise of a test photo")


CHECKS: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
    ("settings", settings_sources),
    ("storage", storage),
    ("database", database),
    ("broker", broker),
    ("port", port),
    ("providers", providers),
    ("offline", offline),
    ("built-in networks", networks),
    ("built-in restorer", self_test),
)
"""A new check is a function here and a line in this table."""


def _known_names() -> frozenset[str]:
    return frozenset(name for field in Settings.model_fields for name in names_of(field))


def _names(files: list[Path]) -> str:
    return " and ".join(str(file) for file in files)


def _works_offline(catalog: Catalog, model_id: str, scale: int) -> bool:
    recipe = build(model_id, scale=scale)
    chain = catalog.chain(recipe)
    return all(any(provider.is_local for provider in chain.candidates(task)) for task in recipe.tasks)


def _sample() -> Raster:
    """(192, 192, 3) uint8: soft shades from black to white, so that no tones need a repair, and two edges."""
    rows, columns = np.mgrid[0:192, 0:192] / 191
    shade = 255 * (0.5 + 0.5 * np.sin(5 * rows) * np.cos(4 * columns))
    shade[60:130, 70:140] = 255 - shade[60:130, 70:140]
    return np.repeat(shade[:, :, np.newaxis], 3, axis=2).astype(np.uint8)


def _error(photo: cv2.typing.MatLike, truth: Raster) -> float:
    """Root mean square error in grey levels."""
    return float(np.sqrt(np.mean((photo.astype(np.float32) - truth.astype(np.float32)) ** 2)))
