"""XMP of a photo: what somebody wrote into it is kept, what it tells of the file is not.

XMP repeats the size and the orientation of the file, holds thumbnails, settings and the history of
its making, and says what lies behind its picture. None of that is true of what is written now. So
properties of known kinds are taken, and no others (ISO 16684-1; IPTC Photo Metadata).
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.dom import minidom
from xml.parsers.expat import ExpatError

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_ALL = frozenset({"*"})
_KEPT = {
    "http://purl.org/dc/elements/1.1/": _ALL,
    "http://ns.adobe.com/xap/1.0/rights/": _ALL,
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": _ALL,
    _IPTC_EXTENSION: _ALL,
    "http://ns.useplus.org/ldf/xmp/1.0/": _ALL,
    "http://creativecommons.org/ns#": _ALL,
    "http://web.resource.org/cc/": _ALL,
    "http://ns.adobe.com/xap/1.0/": frozenset({"CreateDate", "Label", "Nickname", "Rating"}),
    "http://ns.adobe.com/lightroom/1.0/": frozenset({"hierarchicalSubject", "weightedFlatSubject"}),
    "http://ns.adobe.com/photoshop/1.0/": frozenset(
        {"AuthorsPosition", "CaptionWriter", "Category", "City", "Country", "Credit"}
        | {"DateCreated", "Headline", "Instructions", "Source", "State"}
        | {"SupplementalCategories", "TransmissionReference", "Urgency"}
    ),
    "http://www.digikam.org/ns/1.0/": frozenset({"CaptionsAuthorNames", "TagsList"}),
    "http://ns.microsoft.com/photo/1.0/": frozenset({"LastKeywordXMP", "Rating"}),
    "http://ns.microsoft.com/photo/1.0": frozenset({"LastKeywordXMP", "Rating"}),
}
"""Names of properties by their namespace."""

_UNTRUE = frozenset({"format", "DigitalSourceType", "ImageRegion"})
"""Of those of which all others are kept: what kind of file it was, how it came about, where what
is."""

_NAMES = frozenset(
    {
        "http://www.metadataworkinggroup.com/schemas/regions/",
        "http://ns.microsoft.com/photo/1.2/",
        "http://ns.microsoft.com/photo/1.2",
    }
)
"""Namespaces of frames around people, with their names."""

_PEOPLE = frozenset({"PersonInImage", "PersonInImageWDetails"})
_HEAD = '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_TAIL = '<?xpacket end="w"?>'
_MOST = 1 << 22
"""Bytes of what is read; a few thousand are usual."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a photo's XMP stays.

    Attributes:
        packet: in UTF-8; empty where nothing does.
        whole: whether all that somebody wrote is in it.
    """

    packet: bytes = b""
    whole: bool = True


def kept(packet: bytes, *, conceals: bool = False) -> Kept:
    """The words in a photo's XMP.

    Args:
        packet: as it is in the file.
        conceals: whether people in the picture are not to be known, so that their names go.
    """
    if len(packet) > _MOST or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return Kept(whole=False)
    try:
        document = minidom.parseString(packet.strip(b"\0 \r\n\t"))
        return _kept(document, conceals=conceals)
    except (ExpatError, ValueError, RecursionError):
        return Kept(whole=False)


def _kept(document: minidom.Document, *, conceals: bool) -> Kept:
    whole, any_words = True, False
    for about in document.getElementsByTagNameNS(_RDF, "Description"):
        if about.parentNode is None or about.parentNode.nodeName.rpartition(":")[2] != "RDF":
            continue  # the inside of a property
        for attribute in list((about.attributes or {}).values()):
            space = attribute.namespaceURI
            if space in (_XMLNS, _RDF) or attribute.nodeName == "about":
                continue
            if _is_kept(space, attribute.localName, conceals=conceals):
                any_words = True
            else:
                about.removeAttributeNode(attribute)
        for child in list(about.childNodes):
            if child.nodeType != child.ELEMENT_NODE:
                continue
            name = child.localName or ""
            if _is_kept(child.namespaceURI, name, conceals=conceals):
                any_words = True
                continue
            whole = whole and child.namespaceURI not in _NAMES and name not in _PEOPLE
            about.removeChild(child)
    root = document.documentElement
    if not any_words or root is None:
        return Kept(whole=whole)
    return Kept(f"{_HEAD}{root.toxml()}{_TAIL}".encode(), whole)


def _is_kept(space: str | None, name: str | None, *, conceals: bool) -> bool:
    names = _KEPT.get(space or "", frozenset())
    if conceals and space == _IPTC_EXTENSION and name in _PEOPLE:
        return False
    return (names is _ALL and name not in _UNTRUE) or name in names
