from __future__ import annotations

import numpy as np
import pytest
from defusedxml import ElementTree
from tests.images import corpus

from relume.imaging.decode import decode
from relume.imaging.encode import encode
from relume.imaging.limits import MOBILE
from relume.imaging.photo import ImageFormat, Metadata, Photo
from relume.imaging.provenance import IPTC_EXTENSION, RDF, SourceType, mark

PROPERTY = f"{{{IPTC_EXTENSION}}}DigitalSourceType"


def photo(xmp: bytes | None = None) -> Photo:
    return Photo(np.zeros((8, 8, 3), np.uint8), metadata=Metadata(xmp=xmp))


def marks(marked: Photo) -> list[str]:
    """Every value of the property, whichever way it is written."""
    root = ElementTree.fromstring(marked.metadata.xmp or b"")
    elements = [element.text for element in root.iter(PROPERTY)]
    attributes = [element.attrib[PROPERTY] for element in root.iter() if PROPERTY in element.attrib]
    return elements + attributes


@pytest.mark.parametrize("source_type", SourceType)
def test_says_how_the_pixels_came_to_be(source_type: SourceType) -> None:
    expected = f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type.value}"
    assert marks(mark(photo(), source_type)) == [expected]


def test_keeps_what_was_there() -> None:
    marked = mark(photo(corpus.XMP), SourceType.ENHANCED)
    assert b'dc:rights="The family"' in (marked.metadata.xmp or b"")
    assert marks(marked) == [SourceType.ENHANCED.uri]


def test_replaces_an_earlier_mark_in_either_form() -> None:
    namespace = f'xmlns:i="{IPTC_EXTENSION}"'.encode()
    attribute = corpus.XMP.replace(
        b'rdf:about=""', b'rdf:about="" ' + namespace + b' i:DigitalSourceType="x"'
    )
    assert marks(mark(photo(attribute), SourceType.COMPOSITE)) == [SourceType.COMPOSITE.uri]
    twice = mark(mark(photo(corpus.XMP), SourceType.ENHANCED), SourceType.GENERATED)
    assert marks(twice) == [SourceType.GENERATED.uri]


def test_packet_without_description() -> None:
    empty = f'<r:RDF xmlns:r="{RDF}"/>'.encode()
    assert marks(mark(photo(empty), SourceType.ENHANCED)) == [SourceType.ENHANCED.uri]


@pytest.mark.parametrize(
    "packet",
    [
        b"<unclosed>",
        b"no xml",
        b"<other/>",
        b"\xff\xfe\0",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        f'<r:RDF xmlns:r="{RDF}">'.encode() + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</r:RDF>",
    ],
    ids=["unclosed", "text", "other", "bytes", "entities", "deep"],
)
def test_unreadable_packet_is_replaced(packet: bytes) -> None:
    assert marks(mark(photo(packet), SourceType.ENHANCED)) == [SourceType.ENHANCED.uri]


def test_survives_a_packet_too_long_for_jpeg() -> None:
    long = corpus.XMP.replace(b"The family", b"The family" * 10_000)
    data = encode(mark(photo(long), SourceType.COMPOSITE), ImageFormat.JPEG)
    assert marks(decode(data, MOBILE)) == [SourceType.COMPOSITE.uri]


@pytest.mark.parametrize("format_", [ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.WEBP])
def test_is_in_the_file(format_: ImageFormat) -> None:
    data = encode(mark(photo(corpus.XMP), SourceType.ENHANCED), format_)
    assert SourceType.ENHANCED.uri.encode() in data
    assert marks(decode(data, MOBILE)) == [SourceType.ENHANCED.uri]
