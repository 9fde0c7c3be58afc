from __future__ import annotations

import pytest

from aioftps3.embedded.xmlin import XmlFault, parse_xml


def test_namespaces_are_taken_off() -> None:
    root = parse_xml(b'<a xmlns="urn:x"><b xmlns:y="urn:y"><y:c>1</y:c></b></a>')
    assert (root.tag, root.findtext("b/c")) == ("a", "1")


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize(
    "body", [b"", b"<a>", b"<a></b>", b"text", b"<a>\xff</a>", b"<a>&#1;</a>", BOMB.encode(), BOMB.encode("utf-16")]
)
def test_what_is_not_plain_xml_is_a_fault(body: bytes) -> None:
    with pytest.raises(XmlFault):
        parse_xml(body)
