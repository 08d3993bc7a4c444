from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.images import corpus

from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.limits import MOBILE, WIDE
from relume.imaging.photo import ImageFormat, Photo

DETAILS, GPS = 0x8769, 0x8825
WRITTEN = (ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.WEBP)


def described(format_: str) -> bytes:
    """A file that says all it can about itself."""
    options = {"exif": corpus.EXIF_PREFIX + corpus.exif_block(6), "icc_profile": corpus.srgb_profile()}
    image = Image.fromarray(corpus.photo())
    if format_ == "PNG":
        data = corpus.saved(image, "PNG", dpi=(300, 300), **options)
        return corpus.with_png_chunk(data, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + corpus.XMP)
    if format_ == "HEIF":
        image.info["xmp"] = corpus.XMP
        return corpus.saved(image, "HEIF", **options)
    if format_ == "TIFF":
        exif = exif_of(corpus.exif_block(6))
        exif[700] = corpus.XMP
        return corpus.saved(image, "TIFF", dpi=(300, 300), **(options | {"exif": exif}))
    return corpus.saved(image, format_, xmp=corpus.XMP, dpi=(300, 300), **options)


def exif_of(block: bytes | None) -> Image.Exif:
    exif = Image.Exif()
    exif.load(corpus.EXIF_PREFIX + (block or b""))
    return exif


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_reads_exif_icc_and_xmp(format_: str) -> None:
    metadata = decode(described(format_), WIDE).metadata
    exif = exif_of(metadata.exif)
    assert exif[0x010F] == "Relume Camera"
    assert exif.get_ifd(DETAILS)[0x9003] == "1957:06:01 12:00:00"
    assert exif.get_ifd(GPS)[1] == "N"
    assert exif.get(corpus.ORIENTATION_TAG, 1) == 1
    assert metadata.icc_profile == corpus.srgb_profile()
    assert metadata.xmp is not None
    assert metadata.xmp == corpus.XMP.replace(b'tiff:Orientation="6"', b'tiff:Orientation="1"')


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
def test_reads_resolution(format_: str) -> None:
    assert decode(described(format_), WIDE).metadata.dpi == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize("format_", WRITTEN)
def test_survives_encoding(format_: ImageFormat) -> None:
    photo = decode(described("PNG"), MOBILE)
    again = decode(encode(photo, format_), MOBILE)
    assert again.metadata.icc_profile == photo.metadata.icc_profile
    assert again.metadata.xmp == photo.metadata.xmp
    assert exif_of(again.metadata.exif)[0x010F] == "Relume Camera"
    if format_ is not ImageFormat.WEBP:  # WebP has no field for it.
        assert again.metadata.dpi == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize("format_", WRITTEN)
def test_other_readers_understand_it(format_: ImageFormat) -> None:
    photo = decode(described("JPEG"), MOBILE)
    with Image.open(io.BytesIO(encode(photo, format_))) as image:
        assert image.getexif()[0x010F] == "Relume Camera"
        assert image.info["icc_profile"] == corpus.srgb_profile()
        assert image.info["xmp"] == photo.metadata.xmp


def test_size_tags_follow_the_pixels() -> None:
    photo = decode(described("JPEG"), MOBILE)
    enlarged = photo.with_pixels(np.repeat(np.repeat(photo.pixels, 2, axis=0), 2, axis=1))
    details = exif_of(decode(encode(enlarged, ImageFormat.JPEG), MOBILE).metadata.exif).get_ifd(DETAILS)
    assert (details[0xA002], details[0xA003]) == (enlarged.width, enlarged.height)


def test_thumbnail_leaves_no_trace() -> None:
    exif = corpus.exif_block(6, thumbnail=b"\xff\xd8 the photo as it was \xff\xd9")
    data = corpus.with_jpeg_segment(corpus.encoded("JPEG"), 0xE1, corpus.EXIF_PREFIX + exif)
    block = decode(data, MOBILE).metadata.exif
    assert block is not None
    assert b"as it was" not in block
    assert len(block) < len(exif)
    assert exif_of(block)[0x010F] == "Relume Camera"


def test_maker_note_stays_where_it_was() -> None:
    """Its inner offsets count from the start of the block, so nothing before it may move."""
    exif = Image.Exif()
    exif[corpus.ORIENTATION_TAG] = 3
    exif.get_ifd(DETAILS)[0x927C] = b"MAKER NOTE with offsets" * 4
    before = exif.tobytes().removeprefix(corpus.EXIF_PREFIX)
    after = decode(corpus.with_png_chunk(corpus.encoded("PNG"), b"eXIf", before), MOBILE).metadata.exif
    assert after is not None
    assert after.find(b"MAKER NOTE") == before.find(b"MAKER NOTE")
    assert len(after) == len(before)


@pytest.mark.parametrize("name", ["JPEG with broken metadata", "PNG with broken metadata"])
def test_broken_blocks_are_dropped(name: str) -> None:
    metadata = decode(next(case for case in corpus.HANDLED if case.name == name).make(), MOBILE).metadata
    assert metadata.exif is None
    assert metadata.icc_profile is None
    assert metadata.dpi is None


def test_profile_that_does_not_fit_is_not_written() -> None:
    photo = decode(described("PNG"), MOBILE)
    grey = Photo(photo.pixels[:, :, :1], metadata=photo.metadata)
    assert decode(encode(grey, ImageFormat.PNG), MOBILE).metadata.icc_profile is None


def test_cmyk_profile_is_used_up() -> None:
    data = next(case for case in corpus.HANDLED if case.name == "CMYK JPEG with a broken profile").make()
    assert decode(data, MOBILE).metadata.icc_profile is None


def test_long_profile_spans_segments() -> None:
    photo = decode(described("PNG"), MOBILE)
    profile = photo.metadata.icc_profile or b""
    long = (len(profile) + 200_000).to_bytes(4) + profile[4:] + bytes(200_000)
    photo = replace(photo, metadata=replace(photo.metadata, icc_profile=long))
    assert decode(encode(photo, ImageFormat.JPEG), MOBILE).metadata.icc_profile == long


def test_xmp_thumbnails_are_removed() -> None:
    packet = corpus.XMP.replace(
        b"</rdf:RDF>", b"<xmp:Thumbnails><rdf:Alt>/9j/4AAQ</rdf:Alt></xmp:Thumbnails></rdf:RDF>"
    )
    data = corpus.with_jpeg_segment(corpus.encoded("JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    xmp = decode(data, MOBILE).metadata.xmp or b""
    assert b"/9j/" not in xmp
    assert b"The family" in xmp
