from __future__ import annotations

import pytest

from aioftps3.embedded.errors import Refusal
from aioftps3.embedded.verifier import WireRequest
from aioftps3.embedded.wire import is_virtual_host, parse_target


def target(method: str, text: str, host: str = "127.0.0.1:1", **headers: str) -> tuple[str, str, str]:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    parsed = parse_target(WireRequest(method=method, target=text, headers=[("host", host), *named]), "bkt")
    return parsed.operation, parsed.bucket, parsed.key


@pytest.mark.parametrize(
    ("method", "text", "expected"),
    [
        ("GET", "/bkt/k", ("GetObject", "bkt", "k")),
        ("GET", "/bkt/k?x-id=GetObject", ("GetObject", "bkt", "k")),
        ("GET", "/bkt//k", ("GetObject", "bkt", "/k")),
        ("GET", "/bkt/a%2Fb+c%20d/", ("GetObject", "bkt", "a/b+c d/")),
        ("GET", "/other/k", ("GetObject", "other", "k")),
        ("HEAD", "/bkt", ("HeadBucket", "bkt", "")),
        ("HEAD", "/bkt/", ("HeadBucket", "bkt", "")),
        ("GET", "/bkt?list-type=2&prefix=a", ("ListObjectsV2", "bkt", "")),
        ("GET", "/bkt/?location", ("GetBucketLocation", "bkt", "")),
        ("POST", "/bkt?delete=", ("DeleteObjects", "bkt", "")),
        ("PUT", "/bkt/k?partNumber=1&uploadId=x", ("UploadPart", "bkt", "k")),
        ("GET", "/bkt/k?uploadId=x", ("ListParts", "bkt", "k")),
        ("GET", "/bkt?uploads", ("ListMultipartUploads", "bkt", "")),
        ("PUT", "/bkt/k?uploadId=x", ("Unknown", "bkt", "k")),
        ("GET", "/bkt", ("Unknown", "bkt", "")),
        ("GET", "/", ("Unknown", "", "")),
        ("DELETE", "/bkt", ("Unknown", "bkt", "")),
    ],
)
def test_operations_are_told_apart(method: str, text: str, expected: tuple[str, str, str]) -> None:
    assert target(method, text) == expected


def test_copies_are_told_by_their_header() -> None:
    assert target("PUT", "/bkt/k", x_amz_copy_source="bkt/s")[0] == "CopyObject"
    assert target("PUT", "/bkt/k?partNumber=1&uploadId=x", x_amz_copy_source="bkt/s")[0] == "UploadPartCopy"
    assert target("GET", "/bkt/k", x_amz_copy_source="bkt/s")[0] == "Unknown"


def test_virtual_host_leaves_the_whole_path_to_the_key() -> None:
    assert target("GET", "/bkt/k", host="bkt.s3.example.com") == ("GetObject", "bkt", "bkt/k")
    assert target("GET", "//k", host="BKT.localhost:9000") == ("GetObject", "bkt", "/k")
    assert target("HEAD", "/", host="bkt.localhost") == ("HeadBucket", "bkt", "")


@pytest.mark.parametrize(
    ("host", "bucket", "expected"),
    [
        ("bkt.s3.test", "bkt", True),
        ("bkt", "bkt", False),
        ("bkt2.s3.test", "bkt", False),
        ("127.0.0.1:9000", "127", False),
        ("[::1]:9000", "bkt", False),
        ("a.b.s3.test:80", "a.b", True),
    ],
)
def test_addresses_never_are_virtual_hosts(host: str, bucket: str, expected: bool) -> None:
    assert is_virtual_host(host, bucket) is expected


@pytest.mark.parametrize("text", ["/bkt/%ff", "/bkt/%C3", "/bkt/k?uploadId=%ff"])
def test_bytes_that_are_no_utf_8_are_refused(text: str) -> None:
    with pytest.raises(Refusal, match="InvalidURI"):
        target("GET", text)
