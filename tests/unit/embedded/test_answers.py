from __future__ import annotations

from urllib.parse import unquote_plus
from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.embedded.answers import document, error_answer, escape, http_time, iso_time, listed_name
from aioftps3.embedded.errors import Refusal, no_such_key


def test_documents_are_nested_escaped_and_in_the_namespace_of_s3() -> None:
    assert document("Root", [("A", "<&>"), ("B", [("C", 1), ("C", "é")])]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Root xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<A>&lt;&amp;&gt;</A><B><C>1</C><C>é</C></B></Root>"
    )


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_any_text_survives_xml(text: str) -> None:
    assert (fromstring(f"<x>{escape(text)}</x>").text or "") == text


def test_control_characters_become_references() -> None:
    assert escape("a\x01\r\n\tb") == "a&#x1;&#xd;&#xa;&#x9;b"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_listed_names_decode_as_clients_decode_them(name: str) -> None:
    assert unquote_plus(listed_name(name, "url")) == name
    assert listed_name(name, None) == name


def test_times_have_whole_seconds() -> None:
    assert iso_time(1_700_000_000.0) == "2023-11-14T22:13:20.000Z"
    assert http_time(1_700_000_000.0) == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_refusals_become_error_documents() -> None:
    answer = error_answer(no_such_key("k"), resource="/b/k", request_id="ID")
    assert answer.status == 404
    assert isinstance(answer.body, bytes)
    root = fromstring(answer.body)
    assert {element.tag: element.text for element in root} == {
        "Code": "NoSuchKey",
        "Message": "The specified key does not exist.",
        "Key": "k",
        "Resource": "/b/k",
        "RequestId": "ID",
        "HostId": "ID",
    }


def test_refusal_says_status_code_and_message() -> None:
    assert str(Refusal("SlowDown", 503, "Please reduce your request rate.")) == (
        "503 SlowDown: Please reduce your request rate."
    )
