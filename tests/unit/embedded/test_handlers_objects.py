from __future__ import annotations

import asyncio
import hashlib
import os
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from aioftps3.embedded import EmbeddedS3
from tests.unit.embedded.signed_client import (
    ACCESS_KEY,
    BUCKET,
    MAX_PUT,
    ODD_KEYS,
    REGION,
    SECRET_KEY,
    SignedClient,
    base64_of,
    content_md5,
    crc32_of,
    quoted_md5,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
async def test_any_key_can_be_stored_read_listed_copied_and_deleted(
    s3: EmbeddedS3, client: SignedClient, key: str
) -> None:
    body = key.encode()
    assert (await client.put(key, body)).status == 200
    assert s3.objects() == {key: len(body)}
    assert (await client.send("GET", key)).body == body
    assert (await client.send("HEAD", key)).headers["Content-Length"] == str(len(body))
    assert s3.requests[-1].key == key
    source = "".join(f"%{byte:02X}" for byte in f"{BUCKET}/{key}".encode())
    assert (await client.put("copy", x_amz_copy_source=source)).status == 200
    assert s3.read("copy") == body
    assert (await client.send("DELETE", key)).status == 204
    assert s3.objects() == {"copy": len(body)}


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_key_of_more_than_1024_bytes_is_too_long(client: SignedClient, method: str) -> None:
    assert (await client.send(method, "é" * 512 + "k")).error == (400, "KeyTooLongError")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 262_144, 1_048_576, 1_048_577, 2_500_000])
async def test_bodies_of_any_size_come_back_with_their_md5_as_etag(
    s3: EmbeddedS3, client: SignedClient, size: int
) -> None:
    body = os.urandom(size)
    put = await client.put("key", body)
    assert put.etag == quoted_md5(body)
    got = await client.send("GET", "key")
    assert (got.status, got.body, got.etag) == (200, body, quoted_md5(body))
    assert got.headers["Content-Length"] == str(size)
    assert s3.read("key") == body


async def test_headers_and_metadata_come_back_as_they_were_sent(client: SignedClient) -> None:
    sent = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Encoding": "gzip",
        "Content-Disposition": 'attachment; filename="x"',
        "Content-Language": "de",
        "Cache-Control": "no-cache",
        "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
        "x-amz-meta-mtime": "1700000000.5",
        "x-amz-meta-name": "a b",
    }
    assert (await client.send("PUT", "key", body=b"not really gzip", headers=sent)).status == 200
    head = await client.send("HEAD", "key")
    assert {name: head.headers[name] for name in sent} == sent
    assert head.headers["Accept-Ranges"] == "bytes"
    assert "Last-Modified" in head.headers
    assert head.body == b""


async def test_object_without_a_content_type_is_binary(client: SignedClient) -> None:
    await client.put("key")
    assert (await client.send("HEAD", "key")).headers["Content-Type"] == "binary/octet-stream"


async def test_more_than_2_kib_of_metadata_are_too_large(s3: EmbeddedS3, client: SignedClient) -> None:
    assert (await client.send("PUT", "key", headers={"x-amz-meta-a": "x" * 2047})).status == 200
    assert (await client.send("PUT", "other", headers={"x-amz-meta-a": "x" * 2048})).error == (400, "MetadataTooLarge")
    assert list(s3.objects()) == ["key"]


async def test_put_above_the_limit_is_too_large(s3: EmbeddedS3, client: SignedClient) -> None:
    assert (await client.put("key", bytes(MAX_PUT))).status == 200
    assert (await client.put("big", bytes(MAX_PUT + 1))).error == (400, "EntityTooLarge")
    assert s3.objects() == {"key": MAX_PUT}


BODY = b"the body"
GOOD_DIGESTS = {
    "Content-MD5": content_md5(BODY),
    "x-amz-checksum-crc32": crc32_of(BODY),
    "x-amz-checksum-sha1": base64_of(hashlib.sha1(BODY).digest()),
    "x-amz-checksum-sha256": base64_of(hashlib.sha256(BODY).digest()),
}


@pytest.mark.parametrize("name", GOOD_DIGESTS)
async def test_digest_of_the_body_is_verified(s3: EmbeddedS3, client: SignedClient, name: str) -> None:
    good = {name: GOOD_DIGESTS[name]}
    assert (await client.send("PUT", "key", body=b"x" + BODY, headers=good)).error == (400, "BadDigest")
    assert s3.objects() == {}
    assert (await client.send("PUT", "key", body=BODY, headers=good)).status == 200


@pytest.mark.parametrize("value", ["", "not base64", "AAAA", "é"])
async def test_digests_that_are_none_are_refused(s3: EmbeddedS3, client: SignedClient, value: str) -> None:
    headers = {"Content-MD5": value}
    assert (await client.send("PUT", "key", body=BODY, headers=headers)).error == (400, "InvalidDigest")
    headers = {"x-amz-checksum-crc32": value}
    assert (await client.send("PUT", "key", body=BODY, headers=headers)).error == (400, "InvalidRequest")
    assert s3.objects() == {}


async def test_two_checksums_are_refused(client: SignedClient) -> None:
    headers = {name: value for name, value in GOOD_DIGESTS.items() if name.startswith("x-amz")}
    assert (await client.send("PUT", "key", body=BODY, headers=headers)).error == (400, "InvalidRequest")


async def test_checksum_is_kept_and_shown_when_asked_for(client: SignedClient) -> None:
    put = await client.send("PUT", "key", body=BODY, headers={"x-amz-checksum-crc32": crc32_of(BODY)})
    assert put.headers["x-amz-checksum-crc32"] == crc32_of(BODY)
    assert "x-amz-checksum-crc32" not in (await client.send("HEAD", "key")).headers
    asked = {"x-amz-checksum-mode": "ENABLED"}
    head = await client.send("HEAD", "key", headers=asked)
    assert head.headers["x-amz-checksum-crc32"] == crc32_of(BODY)
    assert head.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    part = await client.send("GET", "key", headers={**asked, "Range": "bytes=0-1"})
    assert "x-amz-checksum-crc32" not in part.headers


async def test_put_if_none_match_only_makes_new_objects(s3: EmbeddedS3, client: SignedClient) -> None:
    assert (await client.put("key", b"1", If_None_Match="*")).status == 200
    assert (await client.put("key", b"2", If_None_Match="*")).error == (412, "PreconditionFailed")
    assert (await client.put("key", b"2", If_None_Match='"etag"')).error == (501, "NotImplemented")
    assert s3.read("key") == b"1"


async def test_put_if_match_only_replaces_what_it_names(s3: EmbeddedS3, client: SignedClient) -> None:
    assert (await client.put("key", b"1", If_Match="*")).error == (404, "NoSuchKey")
    await client.put("key", b"1")
    assert (await client.put("key", b"2", If_Match=quoted_md5(b"x"))).error == (412, "PreconditionFailed")
    assert s3.read("key") == b"1"
    assert (await client.put("key", b"2", If_Match=quoted_md5(b"1"))).status == 200
    assert (await client.put("key", b"3", If_Match=quoted_md5(b"2").strip('"'))).status == 200
    assert s3.read("key") == b"3"


async def test_of_many_conditional_puts_at_once_one_wins(s3: EmbeddedS3, client: SignedClient) -> None:
    bodies = [os.urandom(200_000) for _ in range(8)]
    replies = await asyncio.gather(*(client.put("key", body, If_None_Match="*") for body in bodies))
    winners = [body for reply, body in zip(replies, bodies, strict=True) if reply.status == 200]
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7
    assert s3.read("key") == winners[0]


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
        ("bytes=0-", b"0123456789", "bytes 0-9/10"),
    ],
)
async def test_range_selects_bytes(client: SignedClient, header: str, expected: bytes, content_range: str) -> None:
    await client.put("key", b"0123456789")
    reply = await client.send("GET", "key", headers={"Range": header})
    assert (reply.status, reply.body, reply.headers["Content-Range"]) == (206, expected, content_range)
    head = await client.send("HEAD", "key", headers={"Range": header})
    assert (head.status, head.headers["Content-Length"]) == (206, str(len(expected)))


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
async def test_range_outside_the_object_is_invalid(client: SignedClient, header: str) -> None:
    await client.put("key", b"0123456789")
    reply = await client.send("GET", "key", headers={"Range": header})
    assert reply.error == (416, "InvalidRange")
    assert reply.text("ActualObjectSize") == "10"
    assert reply.headers["Content-Range"] == "bytes */10"
    await client.put("empty")
    assert (await client.send("GET", "empty", headers={"Range": "bytes=0-"})).status == 416


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4"])
async def test_range_that_cannot_be_understood_selects_everything(client: SignedClient, header: str) -> None:
    await client.put("key", b"0123456789")
    reply = await client.send("GET", "key", headers={"Range": header})
    assert (reply.status, reply.body) == (200, b"0123456789")


async def test_ranges_of_a_big_object_are_exact(client: SignedClient) -> None:
    body = os.urandom(2_000_000)
    await client.put("key", body)
    for first, last in [(0, 262_143), (262_144, 262_144), (1_000_000, 1_999_999), (65_535, 1_048_577)]:
        reply = await client.send("GET", "key", headers={"Range": f"bytes={first}-{last}"})
        assert reply.body == body[first : last + 1]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_conditional_reads(client: SignedClient, method: str) -> None:
    etag = (await client.put("key", b"data")).etag

    async def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.send(method, "key", headers=named)).status

    past, future = formatdate(0, usegmt=True), formatdate(4e9, usegmt=True)
    assert await status(If_Match=etag) == 200
    assert await status(If_Match=f'"x", {etag}') == 200
    assert await status(If_Match='"x"') == 412
    assert await status(If_None_Match='"x"') == 200
    assert await status(If_None_Match=etag) == 304
    assert await status(If_None_Match="*") == 304
    assert await status(If_Modified_Since=past) == 200
    assert await status(If_Modified_Since=future) == 304
    assert await status(If_Unmodified_Since=past) == 412
    assert await status(If_Unmodified_Since=future) == 200
    assert await status(If_Match=etag, If_Unmodified_Since=past) == 200
    assert await status(If_None_Match='"x"', If_Modified_Since=future) == 200
    assert await status(If_Modified_Since="nonsense") == 200


async def test_not_modified_has_an_etag_and_no_body(client: SignedClient) -> None:
    etag = (await client.put("key", b"data")).etag
    reply = await client.send("GET", "key", headers={"If-None-Match": etag})
    assert (reply.status, reply.etag, reply.body) == (304, etag, b"")


async def test_failed_precondition_of_a_get_has_an_error_document(client: SignedClient) -> None:
    await client.put("key", b"data")
    assert (await client.send("GET", "key", headers={"If-Match": '"x"'})).error == (412, "PreconditionFailed")


async def test_missing_object_is_not_found(client: SignedClient) -> None:
    assert (await client.send("GET", "key")).error == (404, "NoSuchKey")
    head = await client.send("HEAD", "key")
    assert (head.status, head.body) == (404, b"")


async def test_delete_is_204_whether_or_not_something_was_there(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", b"x")
    assert (await client.send("DELETE", "key")).status == 204
    assert (await client.send("DELETE", "key")).status == 204
    assert s3.objects() == {}


async def test_delete_if_match_only_removes_what_it_names(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", b"x")
    assert (await client.send("DELETE", "key", headers={"If-Match": '"y"'})).error == (412, "PreconditionFailed")
    assert s3.objects() == {"key": 1}
    assert (await client.send("DELETE", "key", headers={"If-Match": quoted_md5(b"x")})).status == 204
    assert (await client.send("DELETE", "key", headers={"If-Match": "*"})).error == (404, "NoSuchKey")


async def test_delete_objects_removes_and_reports_each_key(s3: EmbeddedS3, client: SignedClient) -> None:
    for key in ("a", "b & c", "日", "left"):
        s3.put(key, b"x")
    keys = ["a", "b &amp; c", "日", "missing"]
    reply = await client.delete_many(
        "<Delete>" + "".join(f"<Object><Key>{k}</Key></Object>" for k in keys) + "</Delete>"
    )
    assert reply.status == 200
    assert reply.texts("Deleted/Key") == ["a", "b & c", "日", "missing"]
    assert list(s3.objects()) == ["left"]


async def test_quiet_delete_objects_reports_only_errors(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("a", b"x")
    s3.put("b", b"x")
    long = "k" * 1025
    reply = await client.delete_many(
        '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>a</Key></Object>'
        f"<Object><Key>{long}</Key></Object><Object><Key>b</Key><ETag>other</ETag></Object>"
        "<Object><Key>c</Key><ETag>other</ETag></Object><Object><Key>d</Key><VersionId>1</VersionId></Object></Delete>"
    )
    assert reply.texts("Deleted/Key") == []
    assert reply.texts("Error/Key") == [long, "b", "c", "d"]
    assert reply.texts("Error/Code") == ["KeyTooLongError", "PreconditionFailed", "NoSuchKey", "NotImplemented"]
    assert list(s3.objects()) == ["b"]


async def test_delete_objects_needs_a_digest(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("a", b"x")
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    query = {"delete": ""}
    assert (await client.send("POST", query=query, body=body)).error == (400, "InvalidRequest")
    wrong = {"Content-MD5": content_md5(b"")}
    assert (await client.send("POST", query=query, body=body, headers=wrong)).error == (400, "BadDigest")
    assert list(s3.objects()) == ["a"]
    good = {"x-amz-checksum-crc32": crc32_of(body)}
    assert (await client.send("POST", query=query, body=body, headers=good)).status == 200
    assert s3.objects() == {}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<Delete>",
        "<Delete/>",
        "<Other/>",
        "<Delete><Object/></Delete>",
        "<!DOCTYPE x []><Delete><Object><Key>a</Key></Object></Delete>",
        "<Delete>" + "<Object><Key>a</Key></Object>" * 1001 + "</Delete>",
    ],
    ids=lambda document: document[:30],
)
async def test_malformed_delete_documents_are_refused(s3: EmbeddedS3, client: SignedClient, document: str) -> None:
    s3.put("a", b"x")
    assert (await client.delete_many(document)).error == (400, "MalformedXML")
    assert list(s3.objects()) == ["a"]


async def test_thousand_keys_are_deleted_at_once(s3: EmbeddedS3, client: SignedClient) -> None:
    keys = [f"{number:04}" for number in range(1000)]
    for key in keys:
        s3.put(key, b"")
    reply = await client.delete_many(
        "<Delete>" + "".join(f"<Object><Key>{k}</Key></Object>" for k in keys) + "</Delete>"
    )
    assert len(reply.texts("Deleted/Key")) == 1000
    assert s3.objects() == {}


async def test_copy_keeps_content_and_metadata(s3: EmbeddedS3, client: SignedClient) -> None:
    await client.send("PUT", "a b+é", body=b"data", headers={"Content-Type": "text/x", "x-amz-meta-a": "1"})
    reply = await client.put("copy", x_amz_copy_source=f"/{BUCKET}/a%20b%2B%C3%A9")
    assert reply.status == 200
    assert reply.text("ETag") == quoted_md5(b"data")
    assert reply.text("LastModified").endswith(".000Z")
    assert s3.requests[-1].operation == "CopyObject"
    head = await client.send("HEAD", "copy")
    assert (head.headers["Content-Type"], head.headers["x-amz-meta-a"]) == ("text/x", "1")
    await client.send("DELETE", "a b+é")
    assert (await client.send("GET", "copy")).body == b"data"


async def test_copy_with_replace_takes_the_headers_of_the_request(client: SignedClient) -> None:
    await client.send("PUT", "key", body=b"data", headers={"Content-Type": "text/x", "x-amz-meta-a": "1"})
    headers = {
        "x-amz-copy-source": f"{BUCKET}/key",
        "x-amz-metadata-directive": "REPLACE",
        "x-amz-meta-b": "2",
        "Content-Type": "text/y",
    }
    assert (await client.send("PUT", "key", headers=headers)).status == 200
    head = await client.send("HEAD", "key")
    assert head.headers["Content-Type"] == "text/y"
    assert head.headers["x-amz-meta-b"] == "2"
    assert "x-amz-meta-a" not in head.headers
    assert (await client.send("GET", "key")).body == b"data"


async def test_tags_and_storage_class_are_kept_and_shown(s3: EmbeddedS3, client: SignedClient) -> None:
    headers = {"x-amz-tagging": "team=a%20b&empty=", "x-amz-storage-class": "STANDARD_IA"}
    await client.send("PUT", "key", body=b"data", headers=headers)
    await client.send("PUT", "plain", body=b"data", headers={"x-amz-storage-class": "STANDARD"})
    head = await client.send("HEAD", "key")
    assert (head.headers["x-amz-tagging-count"], head.headers["x-amz-storage-class"]) == ("2", "STANDARD_IA")
    plain = await client.send("HEAD", "plain")
    assert not {"x-amz-tagging-count", "x-amz-storage-class"} & set(plain.headers)
    tags = await client.send("GET", "key", query={"tagging": ""})
    assert tags.texts("TagSet/Tag/Key") == ["team", "empty"]
    assert tags.texts("TagSet/Tag/Value") == ["a b", ""]
    assert s3.requests[-1].operation == "GetObjectTagging"
    assert (await client.send("GET", "plain", query={"tagging": ""})).texts("TagSet/Tag/Key") == []
    assert (await client.send("GET", "none", query={"tagging": ""})).error == (404, "NoSuchKey")
    listed = await client.send("GET", query={"list-type": "2"})
    assert listed.texts("Contents/StorageClass") == ["STANDARD_IA", "STANDARD"]


@pytest.mark.parametrize("directive", ["COPY", "REPLACE"])
async def test_copy_keeps_tags_but_goes_to_the_storage_class_of_the_request(
    client: SignedClient, directive: str
) -> None:
    headers = {"x-amz-tagging": "a=b", "x-amz-storage-class": "STANDARD_IA"}
    await client.send("PUT", "key", body=b"data", headers=headers)
    copy = {"x_amz_copy_source": f"{BUCKET}/key", "x_amz_metadata_directive": directive}
    await client.put("default", b"", **copy)
    await client.put("named", b"", **copy, x_amz_storage_class="ONEZONE_IA")
    default, named = [(await client.send("HEAD", key)).headers for key in ("default", "named")]
    assert default["x-amz-tagging-count"] == named["x-amz-tagging-count"] == "1"
    assert "x-amz-storage-class" not in default
    assert named["x-amz-storage-class"] == "ONEZONE_IA"


async def test_storage_classes_and_tags_that_cannot_be_are_refused(s3: EmbeddedS3, client: SignedClient) -> None:
    assert (await client.put("key", x_amz_storage_class="WARM")).error == (400, "InvalidStorageClass")
    many = "&".join(f"{number}=x" for number in range(11))
    assert (await client.put("key", x_amz_tagging=many)).error == (400, "InvalidArgument")
    assert s3.objects() == {}


async def test_copy_onto_itself_without_replace_is_invalid(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", b"x")
    assert (await client.put("key", x_amz_copy_source=f"{BUCKET}/key")).error == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"{BUCKET}/missing", (404, "NoSuchKey")),
        ("other/key", (404, "NoSuchBucket")),
        ("key", (400, "InvalidArgument")),
        ("", (400, "InvalidArgument")),
        (f"{BUCKET}/", (400, "InvalidArgument")),
        (f"{BUCKET}/key?versionId=1", (501, "NotImplemented")),
        (f"{BUCKET}/%ff", (400, "InvalidURI")),
    ],
)
async def test_bad_copy_sources_are_told_apart(
    s3: EmbeddedS3, client: SignedClient, source: str, expected: tuple[int, str]
) -> None:
    s3.put("key", b"x")
    assert (await client.put("copy", x_amz_copy_source=source)).error == expected
    assert list(s3.objects()) == ["key"]


async def test_unknown_metadata_directive_is_refused(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", b"x")
    reply = await client.put("copy", x_amz_copy_source=f"{BUCKET}/key", x_amz_metadata_directive="MERGE")
    assert reply.error == (400, "InvalidArgument")


async def test_copy_conditions_on_source_and_target(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", b"x")
    etag, source = quoted_md5(b"x"), f"{BUCKET}/key"

    async def copy(**headers: str) -> int:
        return (await client.put("copy", b"", x_amz_copy_source=source, **headers)).status

    assert await copy(x_amz_copy_source_if_match='"y"') == 412
    assert await copy(x_amz_copy_source_if_none_match=etag) == 412
    assert await copy(x_amz_copy_source_if_unmodified_since=formatdate(0, usegmt=True)) == 412
    assert list(s3.objects()) == ["key"]
    assert await copy(x_amz_copy_source_if_match=etag, If_None_Match="*") == 200
    assert await copy(If_None_Match="*") == 412
    assert await copy(If_Match='"y"') == 412
    assert await copy(If_Match=etag) == 200


async def test_copy_above_the_limit_is_invalid(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", bytes(MAX_PUT + 1))
    assert (await client.put("copy", x_amz_copy_source=f"{BUCKET}/key")).error == (400, "InvalidRequest")


@pytest.mark.parametrize(("region", "expected"), [("us-east-1", ""), (REGION, REGION)])
async def test_bucket_location_and_region(session: ClientSession, region: str, expected: str) -> None:
    async with EmbeddedS3(bucket=BUCKET, access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=region) as s3:
        client = SignedClient(session, s3)
        client.region = region
        assert (await client.send("GET", query={"location": ""})).document.text in (expected, expected or None)
        head = await client.send("HEAD")
        assert (head.status, head.headers["x-amz-bucket-region"]) == (200, region)


async def test_object_deleted_while_it_is_read_is_read_to_its_end(
    s3: EmbeddedS3, client: SignedClient, session: ClientSession
) -> None:
    body = os.urandom(MAX_PUT)
    s3.put("key", body)
    reader = s3._store.reader(s3._service.contents.objects["key"].blob)
    first = await anext(reader)
    await client.send("DELETE", "key")
    rest = [chunk async for chunk in reader]
    await reader.aclose()
    assert first + b"".join(rest) == body
