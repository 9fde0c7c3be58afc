"""Answers: their type, the XML that S3 writes, and error documents. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aioftps3.embedded.errors import Refusal

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_LAST_C0 = 0x1F


class BodyStream(Protocol):
    """A body that is produced while it is sent. ``aclose`` is called whether or not it was used."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer before it is written; an intercept may change it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | BodyStream = b""
    length: int | None = None
    """Content-Length; None means the length of a ``bytes`` body, and a chunked answer for a stream."""


Node: TypeAlias = "tuple[str, str | int | Sequence[Node]]"
"""One XML element: its name with a text, or with the elements inside it."""


def document(root: str, content: str | Sequence[Node]) -> bytes:
    """A whole XML document in S3's namespace."""
    inner = _inside(content)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_NAMESPACE}">{inner}</{root}>'
    return text.encode("utf-8", "backslashreplace")


def xml_answer(root: str, content: str | Sequence[Node]) -> Answer:
    """A 200 that holds an XML document."""
    return Answer(status=200, headers={"Content-Type": "application/xml"}, body=document(root, content))


def error_answer(refusal: Refusal, *, resource: str, request_id: str) -> Answer:
    """The error document of a refusal."""
    nodes: list[Node] = [("Code", refusal.code), ("Message", refusal.message)]
    nodes += refusal.details.items()
    nodes += [("Resource", resource), ("RequestId", request_id), ("HostId", request_id)]
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{_inside(nodes)}</Error>'.encode(
        "utf-8", "backslashreplace"
    )
    return Answer(status=refusal.status, headers={"Content-Type": "application/xml", **refusal.headers}, body=body)


def escape(text: str) -> str:
    """Text for XML. Control characters become references, as S3 writes them, although XML 1.0 has none for them."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    if text.isprintable():
        return text
    return "".join(f"&#x{ord(letter):x};" if ord(letter) <= _LAST_C0 else letter for letter in text)


def listed_name(name: str, encoding: str | None) -> str:
    """A key, prefix or delimiter as a listing shows it: as it is, or with ``encoding-type=url``."""
    return quote_plus(name, safe="/*-._") if encoding == "url" else name


def iso_time(seconds: float) -> str:
    """A time as listings show it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def http_time(seconds: float) -> str:
    """A time as headers show it."""
    return formatdate(seconds, usegmt=True)


def _element(node: Node) -> str:
    name, content = node
    return f"<{name}>{_inside(content)}</{name}>"


def _inside(content: str | int | Sequence[Node]) -> str:
    if isinstance(content, (str, int)):
        return escape(str(content))
    return "".join(_element(child) for child in content)
