"""From the arrays and images of the decoders to our pixels: (height, width, 1 or 3), alpha apart, upright."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relume.imaging.colour import to_srgb
from relume.imaging.photo import Pixels

_BAND_ROWS = 256  # Rows copied at a time: a 4096 pixel wide RGBA band is 4 MB.
_FOREIGN_SPACES = frozenset({"CMYK", "LAB"})


class Raster(NamedTuple):
    """Decoded pixels. `is_converted`: they were brought to sRGB, so the file's profile no longer applies."""

    pixels: Pixels
    alpha: Pixels | None = None
    is_converted: bool = False


def from_pillow(image: Image.Image, icc_profile: bytes | None) -> Raster:
    """Any picture Pillow decodes. A palette of greys becomes greyscale, any other RGB; 1 bit becomes 8."""
    if image.mode in _FOREIGN_SPACES:
        return _copied(to_srgb(image, icc_profile))._replace(is_converted=True)
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return Raster(_high_depth_grey(np.asarray(image))[:, :, None])
    mode = _target_mode(image)
    return _copied(image if image.mode == mode else image.convert(mode))  # convert() always copies.


def from_array(samples: Pixels) -> Raster:
    """Interleaved samples of 1 to 4 channels: grey, grey+alpha, RGB, RGB+alpha."""
    if samples.ndim == 2:
        samples = samples[:, :, None]
    if samples.shape[2] in {1, 3}:
        return Raster(samples)
    colours = cast("Pixels", np.ascontiguousarray(samples[:, :, :-1]))
    alpha = cast("Pixels", np.ascontiguousarray(samples[:, :, -1]))
    return Raster(colours, alpha)


def upright(raster: Raster, orientation: int) -> Raster:
    """Turn and mirror by EXIF orientation (1 to 8)."""
    if orientation == 1:
        return raster
    alpha = None if raster.alpha is None else _turned(raster.alpha, orientation)
    return raster._replace(pixels=_turned(raster.pixels, orientation), alpha=alpha)


def _turned(samples: Pixels, orientation: int) -> Pixels:
    if orientation in {5, 6, 7, 8}:
        samples = samples.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        samples = samples[::-1]
    if orientation in {2, 3, 6, 7}:
        samples = samples[:, ::-1]
    return cast("Pixels", np.ascontiguousarray(samples))


def _target_mode(image: Image.Image) -> str:
    has_alpha = image.has_transparency_data
    is_grey = image.mode in {"1", "L", "LA", "La"} or (image.mode == "P" and _uses_greys_only(image))
    return ("LA" if has_alpha else "L") if is_grey else ("RGBA" if has_alpha else "RGB")


def _uses_greys_only(image: Image.Image) -> bool:
    """Optimisers store greyscale photos as palettes; what was greyscale shall stay so."""
    used = np.flatnonzero(image.histogram()[:256])
    palette = np.zeros((256, 3), np.uint8)
    entries = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    palette[: len(entries)] = entries
    return not np.ptp(palette[used].astype(np.int16), axis=1).any()


def _copied(image: Image.Image) -> Raster:
    """Copy in bands of rows, alpha straight to its own array: no second copy of the whole picture is held."""
    channels = len(image.getbands())
    colours = channels - 1 if image.mode in {"LA", "RGBA"} else channels
    pixels = np.empty((image.height, image.width, colours), np.uint8)
    alpha = np.empty((image.height, image.width), np.uint8) if colours < channels else None
    for top in range(0, image.height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, image.height)
        band = np.asarray(image.crop((0, top, image.width, bottom)))
        band = band.reshape(bottom - top, image.width, channels)
        pixels[top:bottom] = band[:, :, :colours]
        if alpha is not None:
            alpha[top:bottom] = band[:, :, -1]
    return Raster(pixels, alpha)


def _high_depth_grey(samples: NDArray[np.generic]) -> NDArray[np.uint16]:
    """16-bit values as they are; 32-bit integers and floats scaled to the range they seem to be made for.

    That is 0 to 1, 0 to 255 or 0 to 65535, whichever is the smallest that holds the largest value.
    Anything beyond (elevations, counts) is stretched from its least to its greatest value.
    """
    if samples.dtype.kind == "u" and samples.dtype.itemsize == 2:
        return np.ascontiguousarray(samples, dtype=np.uint16)
    values = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    ranges = (1.0, 255.0, 65535.0) if samples.dtype.kind == "f" else (65535.0,)
    top = next((limit for limit in ranges if low >= 0 and high <= limit), None)
    low, high = (low, high) if top is None else (0.0, top)
    scaled = (values - low) * (65535.0 / max(high - low, 1e-9))
    return cast("NDArray[np.uint16]", np.rint(scaled).astype(np.uint16))
