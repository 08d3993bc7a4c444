"""What leaves for a foreign model, and what is made of its answer."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from relume.errors import OutputInvalid
from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.photo import ImageFormat, Photo
from relume.providers.exchange import drawn, incoming, outgoing
from tests.photos import encoded
from tests.unit.providers.hosted import noise

PHOTO = decode(encoded("PNG", 16, 12))
DEEP = Photo(PHOTO.pixels.astype(np.uint16) * 257, np.full((12, 16), 65535, np.uint16))


def test_the_picture_sent_is_a_plain_png() -> None:
    image = Image.open(io.BytesIO(outgoing(PHOTO).data))
    assert (image.format, image.mode) == ("PNG", "RGB")


def test_a_large_one_goes_as_jpeg_without_its_metadata() -> None:
    file = outgoing(noise(1000, 900))
    assert (file.format, file.name) == (ImageFormat.JPEG, "photo.jpg")
    assert file.data_uri.startswith("data:image/jpeg;base64,")
    assert b"secret place" not in file.data


def test_sixteen_bits_leave_as_eight() -> None:
    sent = decode(outgoing(DEEP).data)
    assert np.array_equal(sent.pixels, PHOTO.pixels)
    assert sent.alpha is None


def test_a_sixteen_bit_photo_with_alpha_stays_one() -> None:
    made = incoming(encoded("PNG", 32, 24), DEEP, "It")
    assert made.pixels.dtype == np.uint16
    assert made.pixels.max() > 255
    assert made.alpha is not None
    assert (made.alpha == 65535).all()
    assert made.alpha.shape == (24, 32)


def test_sixteen_bits_that_come_for_a_sixteen_bit_photo_are_kept() -> None:
    fine = DEEP.pixels + np.arange(DEEP.pixels.size, dtype=np.uint16).reshape(DEEP.pixels.shape) % 200
    data = encode(Photo(fine), ImageFormat.PNG)
    assert np.array_equal(incoming(data, DEEP, "It").pixels, fine)
    assert incoming(data, PHOTO, "It").pixels.dtype == np.uint8


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_channels_are_the_originals(mode: str, channels: int) -> None:
    original = decode(encoded("PNG", 16, 12, mode))
    for made in ("L", "RGB"):
        assert incoming(encoded("PNG", 16, 12, made), original, "It").pixels.shape == (12, 16, channels)


def test_the_size_is_left_for_the_verification_to_judge() -> None:
    made = incoming(encoded("WEBP", 100, 75), PHOTO, "It")
    assert (made.width, made.height) == (100, 75)


def test_what_is_no_picture_is_no_result() -> None:
    with pytest.raises(OutputInvalid, match=r"It gave no picture\."):
        incoming(b"<html>", PHOTO, "It")
    with pytest.raises(OutputInvalid):
        drawn(b"", 8, 8, "It")


def test_a_drawing_is_cropped_to_the_size_that_was_asked_for() -> None:
    picture = drawn(encoded("PNG", 40, 20, "L"), 12, 12, "It")
    assert picture.pixels.shape == (12, 12, 3)
