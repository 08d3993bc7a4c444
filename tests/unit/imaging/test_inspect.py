from __future__ import annotations

import pytest
from tests.images import corpus

from relume.errors import ImageDimensions, ImageTooLarge, RelumeError, UnsupportedFormat
from relume.imaging.inspect import ImageInfo, inspect
from relume.imaging.limits import MOBILE, WIDE, Limits
from relume.imaging.photo import ImageFormat


def refusal(data: bytes, limits: Limits = MOBILE) -> str:
    with pytest.raises(RelumeError) as caught:
        inspect(data, limits)
    return caught.value.detail


def test_size_is_upright() -> None:
    data = corpus.encoded("PNG", 30, 20, exif=corpus.exif_block(6))
    assert inspect(data) == ImageInfo(ImageFormat.PNG, 20, 30)


def test_turned_photo_is_held_to_the_upright_limits() -> None:
    data = corpus.encoded("PNG", 30, 20, exif=corpus.exif_block(6))
    assert inspect(data, Limits(max_width=20, max_height=30)).width == 20
    with pytest.raises(ImageDimensions):
        inspect(data, Limits(max_width=30, max_height=20))


def test_limits_are_inclusive() -> None:
    data = corpus.encoded("PNG", 30, 20)
    assert inspect(data, Limits(max_bytes=len(data), max_width=30, max_height=20)).height == 20
    with pytest.raises(ImageTooLarge):
        inspect(data, Limits(max_bytes=len(data) - 1))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7", "is a PDF document"),
        (b"Just some text, called photo.jpg", "is text"),
        (b'<?xml version="1.0"?>\n<svg/>', "is an SVG drawing"),
        (b"\xff\x0a\0\0", "is a JPEG XL image"),
        (b"II*\0\x10\0\0\0CR\2\0", "is a camera raw file"),
        (b"\0\0\0\x18ftypqt  ", "is a video"),
        (b"PK\x03\x04....", "is a ZIP archive"),
        (bytes(range(200)), "is no photo in a format we know"),
    ],
)
def test_names_what_was_sent_and_what_is_taken(data: bytes, words: str) -> None:
    sentence = refusal(data)
    assert words in sentence
    assert sentence.endswith("Please send a JPEG, PNG, WebP or HEIC photo.")


def test_names_a_format_that_is_known_but_not_taken() -> None:
    assert "is a TIFF file" in refusal(corpus.encoded("TIFF"))
    assert inspect(corpus.encoded("TIFF"), WIDE).format is ImageFormat.TIFF


def test_content_counts_not_brand_alone() -> None:
    """A neutral major brand is settled by the compatible ones."""
    avif = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"
    with pytest.raises(UnsupportedFormat, match="AVIF"):
        inspect(avif)
    with pytest.raises(RelumeError, match="HEIC"):
        inspect(avif.replace(b"avif", b"heic"))


def test_sizes_in_sentences_never_contradict_themselves() -> None:
    assert refusal(bytes(15_000_001)) == "The photo has 15.1 MB; at most 15 MB are allowed."
    sentence = refusal(corpus.encoded("PNG", 4097, 8))
    assert sentence == "The photo has 4097 x 8 pixels; at most 4096 x 4096 are allowed."
