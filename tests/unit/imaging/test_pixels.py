"""That the right pixels come out, not just some of the right size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.images import corpus

from relume.imaging.decode import decode
from relume.imaging.limits import MOBILE, WIDE

ORIENTATIONS = range(1, 9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_applies_orientation(format_: str, orientation: int) -> None:
    stored = Image.fromarray(corpus.turned(corpus.photo(), orientation))
    exif = Image.Exif()
    exif[corpus.ORIENTATION_TAG] = orientation
    photo = decode(corpus.saved(stored, format_, exif=exif), WIDE)
    assert np.array_equal(photo.pixels, corpus.photo())


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "HEIF", "AVIF"])
def test_applies_orientation_once_in_lossy_formats(format_: str, orientation: int) -> None:
    stored = Image.fromarray(corpus.turned(corpus.photo(), orientation))
    exif = corpus.EXIF_PREFIX + corpus.exif_block(orientation)
    photo = decode(corpus.saved(stored, format_, exif=exif, quality=95), WIDE)
    assert photo.pixels.shape == corpus.photo().shape
    assert np.abs(photo.pixels.astype(int) - corpus.photo()).mean() < 6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_keeps_sixteen_bits(channels: int) -> None:
    samples = corpus.sixteen_bit(channels)
    photo = decode(corpus.sixteen_bit_png(samples), MOBILE)
    colours = 1 if channels < 3 else 3
    assert photo.pixels.dtype == np.uint16
    assert np.array_equal(photo.pixels, samples[:, :, :colours])
    if channels % 2:
        assert photo.alpha is None
    else:
        assert photo.alpha is not None
        assert np.array_equal(photo.alpha, samples[:, :, -1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kind", "payload"),
    [(b"gAMA", (100_000).to_bytes(4)), (b"sBIT", bytes([10, 10, 10])), (b"sRGB", b"\0")],
    ids=["gAMA", "sBIT", "sRGB"],
)
def test_no_chunk_changes_the_samples(channels: int, kind: bytes, payload: bytes) -> None:
    samples = corpus.sixteen_bit(channels)
    ancillary = corpus.png_chunk(kind, payload[: channels if kind == b"sBIT" else 4])
    assert np.array_equal(decode(corpus.sixteen_bit_png(samples, ancillary), MOBILE).pixels, samples)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_transparent_colour(channels: int) -> None:
    samples = corpus.sixteen_bit(channels)
    ancillary = corpus.png_chunk(b"tRNS", samples[5, 7].astype(">u2").tobytes())
    alpha = decode(corpus.sixteen_bit_png(samples, ancillary), MOBILE).alpha
    assert alpha is not None
    assert alpha[5, 7] == 0
    assert np.array_equal(alpha == 0, (samples == samples[5, 7]).all(axis=2))


def test_sixteen_bit_tiff() -> None:
    samples = corpus.sixteen_bit(4)
    photo = decode(cv2.imencode(".tiff", samples)[1].tobytes(), WIDE)
    assert np.array_equal(photo.pixels, samples[:, :, 2::-1])
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, samples[:, :, 3])


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(top: float) -> None:
    ramp = np.linspace(0, top, 96 * 64, dtype=np.float32).reshape(64, 96)
    pixels = decode(corpus.saved(Image.fromarray(ramp), "TIFF"), WIDE).pixels[:, :, 0]
    assert np.abs(pixels / 65535 - ramp / top).max() < 1e-4


def test_float_tiff_with_holes() -> None:
    values = np.full((8, 8), 5000.0, np.float32)
    values[0, :3] = (np.nan, np.inf, -3.0)
    pixels = decode(corpus.saved(Image.fromarray(values), "TIFF"), WIDE).pixels
    assert pixels[4, 4, 0] == 65535
    assert pixels[0, 2, 0] == 0


def test_transparency_of_a_palette() -> None:
    data = next(case for case in corpus.HANDLED if case.name == "palette PNG with transparency").make()
    photo = decode(data, MOBILE)
    assert photo.alpha is not None
    assert set(np.unique(photo.alpha)) == {0, 128, 255}
    assert photo.pixels.shape == (64, 96, 3)


def test_opaque_alpha_is_kept() -> None:
    photo = decode(corpus.saved(Image.fromarray(corpus.photo()).convert("RGBA"), "PNG"), MOBILE)
    assert photo.alpha is not None
    assert set(np.unique(photo.alpha)) == {255}
    assert np.array_equal(photo.pixels, corpus.photo())


@pytest.mark.parametrize("name", ["palette PNG of greys", "1-bit PNG", "greyscale JPEG", "grey+alpha PNG"])
def test_greyscale_stays_greyscale(name: str) -> None:
    data = next(case for case in corpus.HANDLED if case.name == name).make()
    assert decode(data, MOBILE).is_greyscale


def test_grey_palette_values() -> None:
    data = next(case for case in corpus.HANDLED if case.name == "palette PNG of greys").make()
    assert np.array_equal(decode(data, MOBILE).pixels[:, :, 0], corpus.photo()[:, :, 0] // 16 * 17)


@pytest.mark.parametrize(
    "name", ["animated GIF", "animated PNG", "animated WebP", "multi-page TIFF", "animated AVIF"]
)
def test_first_frame(name: str) -> None:
    cases = {case.name: case for case in (*corpus.HANDLED, *corpus.HANDLED_WIDE)}
    pixels = decode(cases[name].make(), WIDE).pixels
    assert np.abs(pixels.astype(int) - corpus.photo()).mean() < 20  # The second frame is the negative.


def test_cmyk_without_profile_is_close() -> None:
    image = Image.fromarray(corpus.photo()).convert("CMYK")
    photo = decode(corpus.saved(image, "JPEG", quality=95), MOBILE)
    assert np.abs(photo.pixels.astype(int) - corpus.photo()).mean() < 6


def test_lab_tiff() -> None:
    white = Image.merge("LAB", [Image.new("L", (8, 8), value) for value in (255, 128, 128)])
    assert decode(corpus.saved(white, "TIFF"), WIDE).pixels.min() > 250
