"""The note, inside the file, that AI took part: IPTC Photo Metadata Standard, Digital Source Type, in XMP.

Readers such as Google Images, Adobe's and Meta's look for exactly this property.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from xml.dom.minidom import Document, Element
from xml.parsers.expat import ExpatError

from defusedxml import DefusedXmlException, minidom

from relume.imaging.photo import Photo

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
NEWSCODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PROPERTY = "DigitalSourceType"

_XMLNS = "http://www.w3.org/2000/xmlns/"
_FRESH = (
    '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()
# RecursionError: minidom writes nested elements by recursion, and a hostile packet nests deeply.
_UNREADABLE = (DefusedXmlException, ExpatError, LookupError, RecursionError, UnicodeError, ValueError)


class SourceType(StrEnum):
    """How pixels came to be, from IPTC's vocabulary."""

    ENHANCED = "algorithmicallyEnhanced"
    """A photo corrected by algorithms that add nothing to it."""
    COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
    """A photo of which parts were made by a generative model: restored faces, filled-in damage."""
    GENERATED = "trainedAlgorithmicMedia"
    """An image made by a generative model."""

    @property
    def uri(self) -> str:
        return NEWSCODES + self.value


_MARK = re.compile(f"{NEWSCODES}({'|'.join(SourceType)})<".encode())


def mark(photo: Photo, source_type: SourceType) -> Photo:
    """The photo with its XMP saying so. Other properties are kept; an unreadable packet is replaced."""
    try:
        xmp = _marked(photo.metadata.xmp or _FRESH, source_type)
    except _UNREADABLE:
        xmp = _marked(_FRESH, source_type)
    return replace(photo, metadata=replace(photo.metadata, xmp=xmp))


def marked_as(xmp: bytes | None) -> SourceType | None:
    """What `mark` has written into a packet; None where it holds no such mark."""
    found = _MARK.search(xmp or b"")
    return None if found is None else SourceType(found[1].decode())


def mark_alone(xmp: bytes) -> bytes | None:
    """A short packet with nothing but the mark of a long one, for files that cannot hold the long one."""
    found = _MARK.search(xmp)
    return None if found is None else _marked(_FRESH, SourceType(found[1].decode()))


def _marked(xmp: bytes, source_type: SourceType) -> bytes:
    document = minidom.parseString(xmp.strip(b"\0 \t\r\n"), forbid_dtd=True)
    descriptions = _descriptions(document)
    for description in descriptions:
        _remove_property(description)
    _set_property(document, descriptions[0], source_type.uri)
    return "".join(node.toxml() for node in document.childNodes).encode("utf-8")


def _descriptions(document: Document) -> list[Element]:
    """The top-level descriptions: one is made where there is none. Raises LookupError for what is no XMP."""
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    found = [
        node
        for node in rdf.childNodes
        if isinstance(node, Element) and (node.namespaceURI, node.localName) == (RDF, "Description")
    ]
    if not found:
        description = document.createElementNS(RDF, f"{rdf.prefix}:Description")
        description.setAttributeNS(RDF, f"{rdf.prefix}:about", "")
        rdf.appendChild(description)
        found = [description]
    return found


def _remove_property(description: Element) -> None:
    """RDF allows a simple property as an attribute and as an element."""
    if description.hasAttributeNS(IPTC_EXTENSION, PROPERTY):
        description.removeAttributeNS(IPTC_EXTENSION, PROPERTY)
    for node in list(description.childNodes):
        if isinstance(node, Element) and (node.namespaceURI, node.localName) == (IPTC_EXTENSION, PROPERTY):
            description.removeChild(node)


def _set_property(document: Document, description: Element, value: str) -> None:
    """As an element that declares its own prefix, whatever the packet uses prefixes for."""
    element = document.createElementNS(IPTC_EXTENSION, f"Iptc4xmpExt:{PROPERTY}")
    element.setAttributeNS(_XMLNS, "xmlns:Iptc4xmpExt", IPTC_EXTENSION)
    element.appendChild(document.createTextNode(value))
    description.appendChild(element)
