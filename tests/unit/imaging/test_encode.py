from __future__ import annotations

import io
from typing import cast

import numpy as np
import pytest
from PIL import Image

from relume.errors import UnsupportedFormat
from relume.imaging.compare import same_pixels
from relume.imaging.decode import decode
from relume.imaging.encode import encode, result_format
from relume.imaging.limits import MOBILE
from relume.imaging.photo import ImageFormat, Photo, Pixels


def samples(dtype: type[np.uint8] | type[np.uint16], channels: int, *, alpha: bool) -> Photo:
    rng = np.random.default_rng(5)
    top = np.iinfo(dtype).max
    pixels = rng.integers(0, top, (40, 50, channels), dtype, endpoint=True)
    return Photo(pixels, rng.integers(0, top, (40, 50), dtype, endpoint=True) if alpha else None)


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "rgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_is_lossless(dtype: type[np.uint8] | type[np.uint16], channels: int, alpha: bool) -> None:
    photo = samples(dtype, channels, alpha=alpha)
    again = decode(encode(photo, ImageFormat.PNG), MOBILE)
    assert again.pixels.dtype == dtype
    assert same_pixels(again, photo)


def test_eight_bit_grey_alpha_png_reads_elsewhere() -> None:
    photo = samples(np.uint8, 1, alpha=True)
    with Image.open(io.BytesIO(encode(photo, ImageFormat.PNG))) as image:
        assert image.mode == "LA"
        assert photo.alpha is not None
        assert np.array_equal(np.asarray(image), np.dstack((photo.pixels[:, :, 0], photo.alpha)))


def test_jpeg_is_progressive_and_full_colour() -> None:
    with Image.open(io.BytesIO(encode(samples(np.uint8, 3, alpha=False), ImageFormat.JPEG))) as image:
        assert image.info["progressive"] == 1
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_grey_jpeg_has_one_channel() -> None:
    assert decode(encode(samples(np.uint8, 1, alpha=False), ImageFormat.JPEG), MOBILE).is_greyscale


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_jpeg_shows_transparency_as_white(dtype: type[np.uint8] | type[np.uint16]) -> None:
    alpha = cast("Pixels", np.zeros((32, 32), dtype))
    alpha[:, 16:] = np.iinfo(dtype).max
    black = Photo(cast("Pixels", np.zeros((32, 32, 3), dtype)), alpha)
    again = decode(encode(black, ImageFormat.JPEG), MOBILE).pixels
    assert again[:, :8].min() > 250
    assert again[:, 24:].max() < 5


def test_sixteen_bits_are_rounded() -> None:
    levels = np.array([0, 128, 129, 257, 65406, 65407, 65535], np.uint16)
    photo = Photo(np.repeat(levels, 8)[None, :, None].repeat(8, axis=0))
    again = decode(encode(photo, ImageFormat.WEBP, quality=100), MOBILE).pixels[0, ::8, 0]
    assert again.tolist() == [0, 0, 1, 1, 254, 255, 255]


def test_lossless_webp_with_alpha() -> None:
    photo = samples(np.uint8, 3, alpha=True)
    again = decode(encode(photo, ImageFormat.WEBP, quality=100), MOBILE)
    assert same_pixels(again, photo)


def test_quality_counts() -> None:
    photo = samples(np.uint8, 3, alpha=False)
    assert len(encode(photo, ImageFormat.JPEG, quality=50)) < len(encode(photo, ImageFormat.JPEG, quality=95))


def test_result_formats() -> None:
    jpeg = {format_ for format_ in ImageFormat if result_format(format_) is ImageFormat.JPEG}
    assert jpeg == {ImageFormat.JPEG, ImageFormat.HEIC, ImageFormat.AVIF}
    assert result_format(ImageFormat.WEBP) is ImageFormat.PNG


def test_refuses_other_formats() -> None:
    with pytest.raises(UnsupportedFormat):
        encode(samples(np.uint8, 3, alpha=False), ImageFormat.GIF)
