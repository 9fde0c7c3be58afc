"""Reading the XML that clients send. Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, XMLParser

from aioftps3.embedded.errors import EmbeddedError


class XmlFault(EmbeddedError):
    """Not well-formed, or with a document type, which S3 never has and which could expand without end."""


def parse_xml(body: bytes) -> Element:
    """The root element, with namespaces taken off every tag.

    Raises:
        XmlFault: not well-formed, or a document type declaration
    """
    # A NUL means UTF-16 or UTF-32, in which the declaration would not be found.
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise XmlFault("document type declaration")
    parser = XMLParser()  # noqa: S314 (entities need the document type that was refused above)
    try:
        parser.feed(body)
        root = parser.close()
    except (ParseError, ValueError) as error:
        raise XmlFault("not well-formed") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
