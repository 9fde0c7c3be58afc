from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from aioftps3.embedded.intake import receive_blob
from tests.unit.embedded.signed_client import (
    BUCKET,
    MAX_PUT,
    MIN_PART,
    PARTS,
    WHOLE,
    SignedClient,
    content_md5,
    crc32_of,
    multipart_etag,
    quoted_md5,
    upload_all,
)

if TYPE_CHECKING:
    from aioftps3.embedded import Call, EmbeddedS3
    from aioftps3.embedded.intake import Received
    from aioftps3.embedded.state import Store


async def test_parts_become_one_object_when_completed(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "a b/é", PARTS)
    assert s3.objects() == {}
    assert s3.uploads_in_progress == [("a b/é", upload_id)]
    reply = await client.complete("a b/é", upload_id, etags)
    assert reply.status == 200
    assert (reply.text("Key"), reply.text("Bucket")) == ("a b/é", BUCKET)
    assert reply.text("ETag") == multipart_etag(PARTS)
    got = await client.send("GET", "a b/é")
    assert (got.body, got.etag) == (WHOLE, multipart_etag(PARTS))
    assert s3.uploads_in_progress == []
    assert [request.operation for request in s3.requests] == [
        "CreateMultipartUpload",
        *["UploadPart"] * 3,
        "CompleteMultipartUpload",
        "GetObject",
    ]


async def test_object_has_the_headers_of_its_creation(client: SignedClient) -> None:
    upload_id = await client.create_upload("key", {"Content-Type": "text/x", "x-amz-meta-token": "abc"})
    etag = (await client.upload_part("key", upload_id, 1, b"x")).etag
    await client.complete("key", upload_id, {1: etag})
    head = await client.send("HEAD", "key")
    assert (head.headers["Content-Type"], head.headers["x-amz-meta-token"]) == ("text/x", "abc")


async def test_parts_may_come_at_once_in_any_order_with_gaps_and_again(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id = await client.create_upload("key")
    numbers = [10_000, 7, 1, 30]
    bodies = {number: os.urandom(MIN_PART * 100) for number in numbers}
    await client.upload_part("key", upload_id, 7, b"first try")
    replies = await asyncio.gather(*(client.upload_part("key", upload_id, n, bodies[n]) for n in numbers))
    etags = {number: reply.etag for number, reply in zip(numbers, replies, strict=True)}
    ordered = dict(sorted(etags.items()))
    assert (await client.complete("key", upload_id, ordered)).status == 200
    assert s3.read("key") == b"".join(bodies[number] for number in sorted(numbers))


async def test_parts_that_are_not_named_are_left_out(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    del etags[2]
    reply = await client.complete("key", upload_id, etags)
    assert reply.text("ETag") == multipart_etag([PARTS[0], PARTS[2]])
    assert s3.read("key") == PARTS[0] + PARTS[2]


async def test_ranges_cross_the_parts(client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    await client.complete("key", upload_id, etags)
    for first, last in [(0, 0), (1000, 1001), (900, 2500), (len(WHOLE) - 1, len(WHOLE) - 1)]:
        reply = await client.send("GET", "key", headers={"Range": f"bytes={first}-{last}"})
        assert reply.body == WHOLE[first : last + 1]


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "", "²"])
async def test_part_numbers_are_1_to_10000(client: SignedClient, number: str) -> None:
    upload_id = await client.create_upload("key")
    assert (await client.upload_part("key", upload_id, number)).error == (400, "InvalidArgument")


async def test_part_above_the_limit_is_too_large(client: SignedClient) -> None:
    upload_id = await client.create_upload("key")
    assert (await client.upload_part("key", upload_id, 1, bytes(MAX_PUT + 1))).error == (400, "EntityTooLarge")


async def test_parts_are_verified_like_objects(client: SignedClient) -> None:
    upload_id = await client.create_upload("key")
    bad = {"Content-MD5": content_md5(b"other")}
    assert (await client.upload_part("key", upload_id, 1, b"x", bad)).error == (400, "BadDigest")
    assert (await client.send("GET", "key", query={"uploadId": upload_id})).texts("Part") == []


async def test_parts_out_of_order_are_refused(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    for order in ([2, 1], [1, 1], [1, 3, 2]):
        listed = [(number, etags[number]) for number in order]
        assert (await client.complete("key", upload_id, listed)).error == (400, "InvalidPartOrder")
    assert s3.objects() == {}
    assert len(s3.uploads_in_progress) == 1


async def test_unknown_parts_and_wrong_etags_are_invalid(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    assert (await client.complete("key", upload_id, {**etags, 4: etags[1]})).error == (400, "InvalidPart")
    assert (await client.complete("key", upload_id, {**etags, 2: etags[1]})).error == (400, "InvalidPart")
    assert s3.objects() == {}
    bare = {number: etag.strip('"') for number, etag in etags.items()}
    assert (await client.complete("key", upload_id, bare)).status == 200


async def test_every_part_but_the_last_has_a_minimum_size(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", [bytes(MIN_PART), bytes(MIN_PART - 1), b"x"])
    reply = await client.complete("key", upload_id, etags)
    assert reply.error == (400, "EntityTooSmall")
    assert reply.text("PartNumber") == "2"
    assert (await client.complete("key", upload_id, {1: etags[1], 3: etags[3]})).status == 200
    assert s3.objects() == {"key": MIN_PART + 1}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<CompleteMultipartUpload>",
        "<CompleteMultipartUpload/>",
        "<Other/>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
    ],
    ids=lambda body: body[:60],
)
async def test_malformed_completion_documents_are_refused(client: SignedClient, body: str) -> None:
    upload_id = await client.create_upload("key")
    reply = await client.send("POST", "key", query={"uploadId": upload_id}, body=body.encode())
    assert reply.error == (400, "MalformedXML")


async def test_ten_thousand_parts_fit_into_one_completion(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id = await client.create_upload("key")
    etag = (await client.upload_part("key", upload_id, 1, bytes(MIN_PART))).etag
    reply = await client.complete("key", upload_id, [(number, etag) for number in range(1, 10_001)])
    assert reply.error == (400, "InvalidPart")
    reply = await client.complete("key", upload_id, [(number, etag) for number in range(1, 10_002)])
    assert reply.error == (400, "MalformedXML")


async def test_completing_twice_answers_200_again(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    first = await client.complete("key", upload_id, etags, If_None_Match="*")
    again = await client.complete("key", upload_id, etags, If_None_Match="*")
    assert (again.status, again.text("ETag")) == (200, first.text("ETag"))
    assert (await client.complete("other", upload_id, etags)).error == (404, "NoSuchUpload")
    assert list(s3.objects()) == ["key"]


async def test_completion_keeps_its_conditions(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("key", b"old")
    upload_id, etags = await upload_all(client, "key", PARTS)
    assert (await client.complete("key", upload_id, etags, If_None_Match="*")).error == (412, "PreconditionFailed")
    assert (await client.complete("key", upload_id, etags, If_Match='"x"')).error == (412, "PreconditionFailed")
    assert s3.read("key") == b"old"
    assert s3.uploads_in_progress == [("key", upload_id)]
    assert (await client.complete("key", upload_id, etags, If_Match=quoted_md5(b"old"))).status == 200
    assert s3.read("key") == WHOLE


async def test_aborted_upload_is_gone(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    query = {"uploadId": upload_id}
    assert (await client.send("DELETE", "key", query=query)).status == 204
    assert s3.uploads_in_progress == []
    gone = (404, "NoSuchUpload")
    assert (await client.send("DELETE", "key", query=query)).error == gone
    assert (await client.upload_part("key", upload_id, 1)).error == gone
    assert (await client.complete("key", upload_id, etags)).error == gone
    assert (await client.send("GET", "key", query=query)).error == gone
    assert s3.objects() == {}


async def test_upload_belongs_to_its_key(client: SignedClient) -> None:
    upload_id = await client.create_upload("key")
    assert (await client.upload_part("other", upload_id, 1)).error == (404, "NoSuchUpload")


async def test_part_under_way_when_the_upload_is_aborted_is_lost(
    s3: EmbeddedS3, client: SignedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await client.create_upload("key")
    received, aborted = asyncio.Event(), asyncio.Event()

    async def receive_late(call: Call, store: Store, *, limit: int, algorithm: str | None = None) -> Received:
        result = await receive_blob(call, store, limit=limit, algorithm=algorithm)
        received.set()
        await aborted.wait()
        return result

    monkeypatch.setattr("aioftps3.embedded.handlers_multipart.receive_blob", receive_late)
    part = asyncio.create_task(client.upload_part("key", upload_id, 1, bytes(100_000)))
    await received.wait()
    assert (await client.send("DELETE", "key", query={"uploadId": upload_id})).status == 204
    aborted.set()
    assert (await part).error == (404, "NoSuchUpload")
    assert s3.uploads_in_progress == []


async def test_parts_are_listed_in_pages(client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "a b", PARTS)
    reply = await client.send("GET", "a b", query={"uploadId": upload_id})
    assert (reply.text("Key"), reply.text("UploadId"), reply.text("IsTruncated")) == ("a b", upload_id, "false")
    assert reply.texts("Part/PartNumber") == ["1", "2", "3"]
    assert reply.texts("Part/Size") == [str(len(part)) for part in PARTS]
    assert reply.texts("Part/ETag") == list(etags.values())
    first = await client.send("GET", "a b", query={"uploadId": upload_id, "max-parts": "2"})
    assert (first.texts("Part/PartNumber"), first.text("IsTruncated")) == (["1", "2"], "true")
    marker = first.text("NextPartNumberMarker")
    last = await client.send("GET", "a b", query={"uploadId": upload_id, "part-number-marker": marker})
    assert (last.texts("Part/PartNumber"), last.text("IsTruncated")) == (["3"], "false")


async def copy_part(client: SignedClient, upload_id: str, number: int, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    query = {"partNumber": str(number), "uploadId": upload_id}
    reply = await client.send("PUT", "key", query=query, headers=named)
    return reply.status, reply.text("ETag") if reply.status == 200 else reply.text("Code")


async def test_parts_can_be_copied_from_ranges_of_an_object(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("source é", WHOLE)
    upload_id = await client.create_upload("key")
    source = f"/{BUCKET}/source%20%C3%A9"
    first = await copy_part(
        client, upload_id, 1, x_amz_copy_source=source, x_amz_copy_source_range=f"bytes=5-{MIN_PART + 4}"
    )
    second = await copy_part(client, upload_id, 2, x_amz_copy_source=source)
    assert first == (200, quoted_md5(WHOLE[5 : MIN_PART + 5]))
    assert second == (200, quoted_md5(WHOLE))
    assert s3.requests[-1].operation == "UploadPartCopy"
    s3.delete("source é")
    assert (await client.complete("key", upload_id, {1: first[1], 2: second[1]})).status == 200
    assert s3.read("key") == WHOLE[5 : MIN_PART + 5] + WHOLE


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_amz_copy_source_range": "bytes=0-10"}, (400, "InvalidArgument")),
        ({"x_amz_copy_source_range": "bytes=5-4"}, (400, "InvalidArgument")),
        ({"x_amz_copy_source_range": "bytes=5-"}, (400, "InvalidArgument")),
        ({"x_amz_copy_source_range": "0-1"}, (400, "InvalidArgument")),
        ({"x_amz_copy_source_if_match": '"x"'}, (412, "PreconditionFailed")),
        ({"x_amz_copy_source": f"{BUCKET}/missing"}, (404, "NoSuchKey")),
    ],
)
async def test_bad_part_copies_are_told_apart(
    s3: EmbeddedS3, client: SignedClient, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    s3.put("source", b"0123456789")
    upload_id = await client.create_upload("key")
    assert await copy_part(client, upload_id, 1, **{"x_amz_copy_source": f"{BUCKET}/source", **headers}) == expected


async def test_part_copy_of_an_empty_object_is_empty(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("source", b"")
    upload_id = await client.create_upload("key")
    status, etag = await copy_part(client, upload_id, 1, x_amz_copy_source=f"{BUCKET}/source")
    assert status == 200
    assert (await client.complete("key", upload_id, {1: etag})).status == 200
    assert s3.objects()["key"] == 0


async def test_part_copy_above_the_limit_is_too_large(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("source", bytes(MAX_PUT + 1))
    upload_id = await client.create_upload("key")
    assert (await copy_part(client, upload_id, 1, x_amz_copy_source=f"{BUCKET}/source")) == (400, "EntityTooLarge")


async def test_object_copied_from_a_multipart_one_has_a_plain_etag(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id, etags = await upload_all(client, "key", PARTS)
    await client.complete("key", upload_id, etags)
    assert (await client.put("copy", x_amz_copy_source=f"{BUCKET}/key")).text("ETag") == quoted_md5(WHOLE)
    await client.send("DELETE", "key")
    assert s3.read("copy") == WHOLE


FULL = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}


async def test_full_object_crc32_is_combined_from_the_parts_and_verified(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id = await client.create_upload("key", FULL)
    etags = {}
    for number, part in enumerate(PARTS, 1):
        reply = await client.upload_part("key", upload_id, number, part, {"x-amz-checksum-crc32": crc32_of(part)})
        assert reply.headers["x-amz-checksum-crc32"] == crc32_of(part)
        etags[number] = reply.etag
    bad = await client.complete("key", upload_id, etags, x_amz_checksum_crc32=crc32_of(b"x"))
    assert bad.error == (400, "BadDigest")
    bad = await client.complete("key", upload_id, etags, x_amz_mp_object_size="1")
    assert bad.error == (400, "InvalidRequest")
    good = await client.complete(
        "key", upload_id, etags, x_amz_checksum_crc32=crc32_of(WHOLE), x_amz_mp_object_size=str(len(WHOLE))
    )
    assert good.status == 200
    assert (good.text("ChecksumCRC32"), good.text("ChecksumType")) == (crc32_of(WHOLE), "FULL_OBJECT")
    head = await client.send("HEAD", "key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert head.headers["x-amz-checksum-crc32"] == crc32_of(WHOLE)
    copied = await client.put("copy", x_amz_copy_source=f"{BUCKET}/key")
    assert copied.text("ChecksumCRC32") == crc32_of(WHOLE)


async def test_composite_checksum_is_taken_over_the_parts(client: SignedClient) -> None:
    upload_id = await client.create_upload("key", {"x-amz-checksum-algorithm": "SHA256"})
    etags = {}
    for number, part in enumerate(PARTS, 1):
        etags[number] = (await client.upload_part("key", upload_id, number, part)).etag
    listed = await client.send("GET", "key", query={"uploadId": upload_id})
    digests = [hashlib.sha256(part).digest() for part in PARTS]
    assert listed.texts("Part/ChecksumSHA256") == [base64.b64encode(digest).decode() for digest in digests]
    expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    bad = await client.complete("key", upload_id, etags, x_amz_checksum_sha256=base64.b64encode(bytes(32)).decode())
    assert bad.error == (400, "BadDigest")
    good = await client.complete("key", upload_id, etags, x_amz_checksum_sha256=expected)
    assert (good.text("ChecksumSHA256"), good.text("ChecksumType")) == (f"{expected}-3", "COMPOSITE")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-amz-checksum-algorithm": "CRC64NVME"}, (501, "NotImplemented")),
        ({"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"}, (400, "InvalidRequest")),
        ({"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "OTHER"}, (400, "InvalidRequest")),
        ({"x-amz-checksum-type": "FULL_OBJECT"}, (400, "InvalidRequest")),
    ],
)
async def test_checksum_that_cannot_be_is_refused_at_the_creation(
    client: SignedClient, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert (await client.send("POST", "key", query={"uploads": ""}, headers=headers)).error == expected


async def test_part_with_another_checksum_than_its_upload_is_refused(client: SignedClient) -> None:
    upload_id = await client.create_upload("key", FULL)
    headers = {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(b"x").digest()).decode()}
    assert (await client.upload_part("key", upload_id, 1, b"x", headers)).error == (400, "InvalidRequest")


async def test_completion_checks_the_checksums_of_the_parts(s3: EmbeddedS3, client: SignedClient) -> None:
    upload_id = await client.create_upload("key", FULL)
    etag = (await client.upload_part("key", upload_id, 1, b"x")).etag

    def document(crc32: str) -> bytes:
        part = f"<PartNumber>1</PartNumber><ETag>{etag}</ETag><ChecksumCRC32>{crc32}</ChecksumCRC32>"
        return f"<CompleteMultipartUpload><Part>{part}</Part></CompleteMultipartUpload>".encode()

    query = {"uploadId": upload_id}
    bad = await client.send("POST", "key", query=query, body=document(crc32_of(b"y")))
    assert bad.error == (400, "InvalidPart")
    assert (await client.send("POST", "key", query=query, body=document(crc32_of(b"x")))).status == 200
    assert s3.read("key") == b"x"
