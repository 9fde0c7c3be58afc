"""Endpoints and bodies."""

import hashlib

import pytest

from aioftps3.s3.errors import RequestInvalid
from aioftps3.s3.models import SLICE_BYTES, BytesBody, Endpoint


@pytest.mark.parametrize(
    ("bucket", "region", "host", "path_style", "authority", "path"),
    [
        ("bucket", "eu-west-1", None, None, "bucket.s3.eu-west-1.amazonaws.com", "/k"),
        ("bucket", "cn-north-1", None, None, "bucket.s3.cn-north-1.amazonaws.com.cn", "/k"),
        ("my.bucket", "eu-west-1", None, None, "s3.eu-west-1.amazonaws.com", "/my.bucket/k"),
        ("my.bucket", "eu-west-1", None, False, "s3.eu-west-1.amazonaws.com", "/my.bucket/k"),
        ("my.bucket", "r", "http://s3.test", False, "my.bucket.s3.test", "/k"),
        ("bucket", "eu-west-1", None, True, "s3.eu-west-1.amazonaws.com", "/bucket/k"),
        ("bucket", "r", "https://store:9000", None, "store:9000", "/bucket/k"),
        ("bucket", "r", "https://store:9000", False, "bucket.store:9000", "/k"),
        ("bucket", "r", "http://127.0.0.1:80", None, "127.0.0.1", "/bucket/k"),
        ("Old_Bucket", "us-east-1", None, None, "s3.us-east-1.amazonaws.com", "/Old_Bucket/k"),
        ("bucket", "eu-west-1", "bucket.s3.eu-west-1.amazonaws.com", None, "bucket.s3.eu-west-1.amazonaws.com", "/k"),
    ],
)
def test_addressing_follows_the_host_and_the_bucket(
    bucket: str, region: str, host: str | None, path_style: bool | None, authority: str, path: str
) -> None:
    endpoint = Endpoint.for_bucket(bucket, region, host, path_style)
    assert endpoint.authority == authority
    assert endpoint.path("k") == path


def test_path_of_the_bucket_itself() -> None:
    assert Endpoint.for_bucket("bucket", "r", "h").path() == "/bucket"
    assert Endpoint.for_bucket("bucket", "eu-west-1").path() == "/"


def test_another_region_changes_awss_own_host_and_no_other() -> None:
    assert Endpoint.for_bucket("bucket", "eu-west-1").in_region("us-west-2").host == "s3.us-west-2.amazonaws.com"
    assert Endpoint.for_bucket("bucket", "a", "store:1").in_region("b") == Endpoint.for_bucket("bucket", "b", "store:1")


@pytest.mark.parametrize(
    ("bucket", "region", "host"), [("a/b", "r", None), ("bucket", "r r", None), ("bucket", "r", "ftp://x")]
)
def test_impossible_endpoints_are_refused(bucket: str, region: str, host: str | None) -> None:
    with pytest.raises(RequestInvalid):
        Endpoint.for_bucket(bucket, region, host)


def test_bytes_body_can_be_sent_again() -> None:
    data = bytes(range(256)) * 3000
    body = BytesBody(data)
    for _ in range(2):
        pieces = list(body.chunks())
        assert b"".join(pieces) == data
        assert max(len(piece) for piece in pieces) == SLICE_BYTES
    assert body.length == len(data)
    assert body.sha256 == hashlib.sha256(data).hexdigest()
