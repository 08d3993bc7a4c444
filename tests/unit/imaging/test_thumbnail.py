"""Photos made smaller for a screen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests import photos

from relume.errors import ImageUnreadable
from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.photo import ImageFormat, Photo
from relume.imaging.provenance import SourceType, mark
from relume.imaging.thumbnail import held_bytes, snapped, thumbnail


@pytest.mark.parametrize(
    ("asked", "given"), [(64, 160), (160, 160), (161, 320), (1000, 1280), (4096, 4096), (9000, 4096)]
)
def test_sizes_are_rounded_up_to_a_few(asked: int, given: int) -> None:
    assert snapped(asked) == given


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "HEIF", "TIFF", "BMP"])
def test_every_format_becomes_a_small_jpeg_of_the_same_picture(format_: str) -> None:
    data, kind = thumbnail(photos.encoded(format_, 400, 300), 160)
    assert kind is ImageFormat.JPEG
    found = photos.opened(data)
    assert (found.format, found.size) == ("JPEG", (160, 120))
    expected = np.asarray(photos.picture(400, 300).resize((160, 120), Image.Resampling.BOX), np.float64)
    assert np.abs(np.asarray(found, np.float64) - expected).mean() < 6


def test_a_turned_photo_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees clockwise.
    data = photos.encoded("JPEG", 400, 300, exif=exif.tobytes())
    shown = photos.opened(thumbnail(data, 160).data)
    assert shown.size == (120, 160)
    upright = photos.picture(400, 300).transpose(Image.Transpose.ROTATE_270).resize((120, 160))
    assert np.abs(np.asarray(shown, float) - np.asarray(upright, float)).mean() < 10


def test_nothing_is_enlarged_and_none_is_the_full_size() -> None:
    data = photos.encoded("HEIF", 120, 90)
    assert photos.opened(thumbnail(data, 640).data).size == (120, 90)
    assert photos.opened(thumbnail(data, None).data).size == (120, 90)


def test_what_is_transparent_stays_so() -> None:
    image = photos.picture(400, 300).convert("RGBA")
    image.paste((255, 0, 0, 0), (0, 0, 200, 300))
    out = io.BytesIO()
    image.save(out, "PNG")
    data, kind = thumbnail(out.getvalue(), 160)
    shown = photos.opened(data).convert("RGBA")
    assert (kind, shown.size) == (ImageFormat.WEBP, (160, 120))
    alpha = np.asarray(shown)[..., 3]
    assert alpha[:, :76].max() == 0
    assert alpha[:, 84:].min() == 255


def test_alpha_that_hides_nothing_and_sixteen_bits_become_a_jpeg() -> None:
    assert thumbnail(photos.encoded("PNG", mode="RGBA"), 160).format is ImageFormat.JPEG
    grey = np.linspace(0, 65535, 400 * 300).reshape(300, 400, 1).astype(np.uint16)
    shown = photos.opened(thumbnail(encode(Photo(grey), ImageFormat.PNG), 160).data)
    assert (shown.mode, shown.size) == ("L", (160, 120))
    half = Photo(np.repeat(grey, 3, axis=2), alpha=grey[..., 0])
    assert thumbnail(encode(half, ImageFormat.PNG), 160).format is ImageFormat.WEBP


def test_places_and_cameras_are_left_out_but_colours_and_the_mark_stay() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera's maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    marked = mark(
        decode(photos.encoded("JPEG", 400, 300, exif=exif.tobytes(), icc_profile=profile)),
        SourceType.COMPOSITE,
    )
    data = thumbnail(encode(marked, ImageFormat.JPEG), 160).data
    shown = photos.opened(data)
    assert b"maker" not in data
    assert shown.info["icc_profile"] == profile
    assert SourceType.COMPOSITE.uri.encode() in data


def test_a_jpeg_is_decoded_no_larger_than_needed() -> None:
    data = photos.encoded("JPEG", 800, 600)
    assert decode(data, longest_at_least=160).width == 200
    assert decode(data, longest_at_least=700).width == 800
    assert held_bytes(ImageFormat.JPEG, 800, 600, 160) * 16 == held_bytes(ImageFormat.PNG, 800, 600, 160)


def test_a_damaged_file_is_told_in_a_sentence() -> None:
    with pytest.raises(ImageUnreadable, match="damaged"):
        thumbnail(photos.encoded("PNG")[:-200], 160)
