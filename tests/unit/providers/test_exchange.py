"""What leaves for a foreign model, and what is made of its answer."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from relume.errors import OutputInvalid
from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.providers.exchange import incoming, outgoing
from tests.photos import encoded

PHOTO = decode(encoded("PNG", 16, 12))


def test_sixteen_bits_leave_as_eight() -> None:
    deep = Photo(PHOTO.pixels.astype(np.uint16) * 257)
    assert np.array_equal(decode(outgoing(deep)).pixels, PHOTO.pixels)


def test_a_sixteen_bit_photo_with_alpha_comes_back_in_eight() -> None:
    deep = Photo(PHOTO.pixels.astype(np.uint16) * 257, np.full((12, 16), 65535, np.uint16))
    made = incoming(encoded("PNG", 32, 24), deep, 2, "It")
    assert made.pixels.dtype == np.uint8
    assert made.alpha is not None
    assert (made.alpha == 255).all()
    assert made.alpha.shape == (24, 32)


def test_a_grey_answer_to_a_colour_photo_gets_three_channels() -> None:
    assert incoming(encoded("PNG", 16, 12, "L"), PHOTO, 1, "It").pixels.shape == (12, 16, 3)


def test_another_section_of_the_photo_is_no_result() -> None:
    with pytest.raises(OutputInvalid):
        incoming(encoded("PNG", 12, 12), PHOTO, 1, "It")


def test_an_answer_of_the_wrong_size_is_brought_to_the_right_one() -> None:
    made = incoming(encoded("WEBP", 100, 75), PHOTO, 2, "It")
    assert (made.width, made.height) == (32, 24)


def test_the_picture_sent_is_a_plain_png() -> None:
    image = Image.open(io.BytesIO(outgoing(PHOTO)))
    assert (image.format, image.mode) == ("PNG", "RGB")
