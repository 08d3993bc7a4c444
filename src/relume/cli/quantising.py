"""8-bit versions of upscalers, calibrated on photos named on the command line."""

from __future__ import annotations

from pathlib import Path

from relume.engines.engine import EngineOptions
from relume.engines.models import ModelUnusable
from relume.engines.quantise import ENOUGH_TILES, Calibration, is_quantised, quantise
from relume.engines.weights import Weights
from relume.errors import RelumeError
from relume.imaging.decode import decode
from relume.imaging.limits import WIDE
from relume.settings import Settings


def quantise_all(weights: list[Weights], photos: list[Path], settings: Settings) -> list[str]:
    """What went wrong, a sentence each."""
    options = EngineOptions(settings.engine_cache)
    calibration = Calibration(options.cache)
    faults = [fault for photo in photos if (fault := _collect(photo, calibration))]
    if not calibration.is_enough:
        return [*faults, f"{calibration.count()} of {ENOUGH_TILES} tiles were found: name more photos."]
    upscalers = [found for found in weights if found.kind == "upscaler" and not found.identity.problem]
    if not upscalers:
        faults.append("There are no weights of an upscaler here.")
    for found in upscalers:
        if is_quantised(found, options):
            print(f"{found.path.name}: has an 8-bit version already.")
            continue
        try:
            quantise(found, options)
        except ModelUnusable as error:
            faults.append(f"{found.path.name}: {error}.")
        else:
            print(f"{found.path.name}: quantised.")
    return faults


def _collect(photo: Path, calibration: Calibration) -> str | None:
    try:
        calibration.add(decode(photo.read_bytes(), WIDE).pixels)
    except OSError as error:
        return f"{photo}: it cannot be read ({error.strerror})."
    except RelumeError as error:
        return f"{photo}: {error.detail}"
    return None
