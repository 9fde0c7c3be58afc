"""Percent-encoding and endpoints."""

import pytest

from aioftps3.s3 import uri
from aioftps3.s3.errors import RequestInvalid


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("a/b", "a/b"),
        ("a b+c", "a%20b%2Bc"),
        ("//..//./", "//..//./"),
        ("%41&=#?'\"", "%2541%26%3D%23%3F%27%22"),
        ("-._~!*()", "-._~%21%2A%28%29"),
        ("é日本", "%C3%A9%E6%97%A5%E6%9C%AC"),
        ("\x00\n\x7f\\", "%00%0A%7F%5C"),
        ("a\udcff", "a%FF"),
    ],
)
def test_keys_are_encoded_once_and_not_normalised(key: str, encoded: str) -> None:
    assert uri.encode_key(key) == encoded


@pytest.mark.parametrize("key", ["", "\ud800"])
def test_keys_that_have_no_path_are_refused(key: str) -> None:
    with pytest.raises(RequestInvalid):
        uri.encode_key(key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3.test", ("https", "s3.test")),
        ("S3.Test:9000", ("https", "s3.test:9000")),
        ("https://s3.test:443/", ("https", "s3.test")),
        ("http://s3.test:80", ("http", "s3.test")),
        ("http://s3.test:443", ("http", "s3.test:443")),
        ("HTTP://127.0.0.1:9000", ("http", "127.0.0.1:9000")),
        ("http://[::1]:9000", ("http", "[::1]:9000")),
        ("http://[::1]", ("http", "[::1]")),
        ("http://store_1:9000", ("http", "store_1:9000")),
    ],
)
def test_endpoints_are_a_host_or_a_url(text: str, expected: tuple[str, str]) -> None:
    assert uri.parse_endpoint(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://s3.test",
        "http://",
        "http://s3.test/path",
        "s3.test?x",
        "s3.test#x",
        "http://user:pw@s3.test",
        "s3.test:0",
        "s3.test:65536",
        "s3.test:http",
        "s3.test:",
        "s3 .test",
        "s3.test\r\nx",
        "http://[::1",
        "-bad-",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        uri.parse_endpoint(text)


@pytest.mark.parametrize("bucket", ["", "a", "a..b", "a/b", "a?b", "-ab", "ab-", "a" * 300, "a b", "é" * 5])
def test_names_that_are_no_buckets_are_refused(bucket: str) -> None:
    with pytest.raises(RequestInvalid):
        uri.check_bucket(bucket)


@pytest.mark.parametrize("region", ["", "a b", "a/b", "x" * 64, "-a", "a\n"])
def test_names_that_are_no_regions_are_refused(region: str) -> None:
    with pytest.raises(RequestInvalid):
        uri.check_region(region)
