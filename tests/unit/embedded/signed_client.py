"""A client whose signatures come from botocore, so that the server is not judged by its own code."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree.ElementTree import Element, fromstring

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import ClientResponse, ClientSession
    from aiohttp.client import _RequestContextManager

    from aioftps3.embedded import EmbeddedS3

BUCKET = "tests"
ACCESS_KEY = "AKIDEXAMPLE/1"
SECRET_KEY = "a secret"
REGION = "eu-west-2"

MIN_PART = 1000
"""Smallest part but the last that the server under test takes."""
MAX_PUT = 3_000_000
"""Largest single upload that the server under test takes."""

PARTS = [bytes([number]) * (MIN_PART + number) for number in (1, 2, 3)]
WHOLE = b"".join(PARTS)

ODD_KEYS = [
    "plain",
    "a//b",
    "/leading",
    "//two",
    "trailing/",
    "a/../b",
    "../up",
    "./here",
    ".",
    "..",
    "+ % & # ? ' \"",
    "%2F%41",
    "é",
    "e\u0301",
    "日本/語",
    "🦆",
    "-dash",
    " spaces at both ends ",
    "a\\b",
    "tab\tnewline\nreturn\r",
    "!*'();:@=$,[]",
    "k" * 1024,
    "é" * 512,
    "http://x/y",
]


class _UnsignedPayload(S3SigV4Auth):  # type: ignore[misc] # botocore has no types
    def payload(self, request: object) -> str:
        return "UNSIGNED-PAYLOAD"


@dataclass(slots=True)
class Outgoing:
    """A signed request that a test may spoil before it is sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Element:
        root = fromstring(self.body.decode())
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.text("Code")

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    def text(self, path: str) -> str:
        found = self.document.findtext(path)
        assert found is not None, self.body
        return found

    def texts(self, path: str) -> list[str]:
        return [element.text or "" for element in self.document.findall(path)]


class SignedClient:
    def __init__(self, session: ClientSession, s3: EmbeddedS3) -> None:
        self._session = session
        self._s3 = s3
        self.access_key, self.secret_key, self.token = ACCESS_KEY, SECRET_KEY, None
        self.region = REGION
        self.unsigned_payload = False
        self.bucket = s3.bucket

    access_key: str
    secret_key: str
    token: str | None

    async def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
        spoil: Callable[[Outgoing], None] | None = None,
    ) -> Reply:
        """Sign and send. ``host`` makes it a virtual-host request; ``spoil`` changes it after it was signed."""
        outgoing = self.sign(method, key, query=query or {}, body=body, headers=headers or {}, host=host)
        if spoil is not None:
            spoil(outgoing)
        return await self.send_raw(outgoing)

    def sign(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str],
        body: bytes,
        headers: Mapping[str, str],
        host: str | None = None,
    ) -> Outgoing:
        path = f"/{quote(key, safe='/-._~')}"
        if host is None:
            path = f"/{self.bucket}{path}"
        text = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in query.items())
        url = self._s3.url + path + (f"?{text}" if text else "")
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        if host is not None:
            request.headers["Host"] = host
        auth = _UnsignedPayload if self.unsigned_payload else S3SigV4Auth
        auth(Credentials(self.access_key, self.secret_key, self.token), "s3", self.region).add_auth(request)
        return Outgoing(method, url, dict(request.headers), body)

    async def send_raw(self, outgoing: Outgoing) -> Reply:
        async with self._request(outgoing) as response:
            return Reply(response.status, response.headers, await response.read())

    async def open(self, method: str, key: str) -> ClientResponse:
        """Send a request and leave the answer's body to the caller."""
        return await self._request(self.sign(method, key, query={}, body=b"", headers={}))

    def _request(self, outgoing: Outgoing) -> _RequestContextManager:
        return self._session.request(
            outgoing.method,
            URL(outgoing.url, encoded=True),
            data=io.BytesIO(outgoing.body),
            headers=outgoing.headers,
            skip_auto_headers=("Content-Type", "Accept-Encoding", "User-Agent"),
            allow_redirects=False,
        )

    async def put(self, key: str, body: bytes = b"", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("PUT", key, body=body, headers=named)

    async def create_upload(self, key: str, headers: Mapping[str, str] | None = None) -> str:
        return (await self.send("POST", key, query={"uploads": ""}, headers=headers)).text("UploadId")

    async def upload_part(
        self, key: str, upload_id: str, number: int | str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        query = {"partNumber": str(number), "uploadId": upload_id}
        return await self.send("PUT", key, query=query, body=body, headers=headers)

    async def complete(
        self, key: str, upload_id: str, parts: Mapping[int, str] | list[tuple[int, str]], **headers: str
    ) -> Reply:
        listed = list(parts.items()) if not isinstance(parts, list) else parts
        body = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in listed)
        return await self.send(
            "POST",
            key,
            query={"uploadId": upload_id},
            body=f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode(),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    async def delete_many(self, document: str) -> Reply:
        body = document.encode()
        return await self.send("POST", query={"delete": ""}, body=body, headers={"Content-MD5": content_md5(body)})


def content_md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def quoted_md5(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def base64_of(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc32_of(body: bytes) -> str:
    return base64_of(zlib.crc32(body).to_bytes(4, "big"))


def multipart_etag(parts: list[bytes]) -> str:
    return f'"{hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()}-{len(parts)}"'


async def upload_all(client: SignedClient, key: str, parts: list[bytes]) -> tuple[str, dict[int, str]]:
    upload_id = await client.create_upload(key)
    etags = {}
    for number, part in enumerate(parts, 1):
        reply = await client.upload_part(key, upload_id, number, part)
        assert (reply.status, reply.etag) == (200, quoted_md5(part))
        etags[number] = reply.etag
    return upload_id, etags
