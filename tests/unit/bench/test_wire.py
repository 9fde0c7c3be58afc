"""The names of S3's operations as the benchmark's sink and relay count them, and the sink's listings."""

from __future__ import annotations

import pytest

from aioftps3.s3.xml import parse_list_page
from bench.sink import listing_page
from bench.wire import Control, parse_head


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("GET /b/?list-type=2&prefix=a%2F", "ListObjectsV2"),
        ("GET /b/key", "GetObject"),
        ("HEAD /b/key", "HeadObject"),
        ("HEAD /b", "HeadBucket"),
        ("PUT /b/key", "PutObject"),
        ("PUT /b/key?partNumber=1&uploadId=u", "UploadPart"),
        ("POST /b/key?uploads", "CreateMultipartUpload"),
        ("POST /b/key?uploadId=u", "CompleteMultipartUpload"),
        ("DELETE /b/key?uploadId=u", "AbortMultipartUpload"),
        ("DELETE /b/key", "DeleteObject"),
        ("POST /b/?delete", "DeleteObjects"),
    ],
)
def test_a_request_has_the_name_that_s3_gives_it(line: str, operation: str) -> None:
    assert parse_head(f"{line} HTTP/1.1\r\nHost: h".encode()).operation == operation


def test_a_copy_is_told_from_an_upload_by_its_header() -> None:
    head = b"PUT /b/key HTTP/1.1\r\nX-Amz-Copy-Source: /b/other"
    assert parse_head(head).operation == "CopyObject"


def test_content_in_signed_chunks_is_shorter_than_the_body() -> None:
    request = parse_head(b"PUT /b/key HTTP/1.1\r\nContent-Length: 120\r\nx-amz-decoded-content-length: 100")
    assert (request.length, request.object_length) == (120, 100)


def test_a_reset_counts_anew_and_sets_the_delay() -> None:
    control = Control()
    control.counts["GetObject"] = 3
    control.answer(parse_head(b"GET /-/reset?delay_ms=25 HTTP/1.1"))
    assert (dict(control.counts), control.delay_seconds) == ({}, 0.025)


def test_made_up_listings_have_every_file_once() -> None:
    keys: list[str] = []
    token: str | None = "0"
    while token is not None:
        page = parse_list_page(listing_page(2500, int(token), 1000))
        keys += [item.key for item in page.objects]
        token = page.next_token
    assert keys == [f"list/2500/file-{number:09}.bin" for number in range(2500)]
