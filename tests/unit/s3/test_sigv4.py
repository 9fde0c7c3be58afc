"""Signing, step by step, against S3's published examples and the rules of AWS's signing suite."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from aioftps3.s3 import sigv4
from aioftps3.s3.errors import RequestInvalid
from aioftps3.s3.models import EMPTY_SHA256

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = ("Host", "examplebucket.s3.amazonaws.com")
WELCOME = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()

# method, path, query, headers, hash of the payload -> SignedHeaders, hash of the canonical request, signature.
# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
EXAMPLES = {
    "GET object": (
        ("GET", "/test.txt", [], [HOST, ("Range", "bytes=0-9")], EMPTY_SHA256),
        "host;range;x-amz-content-sha256;x-amz-date",
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "PUT object": (
        (
            "PUT",
            "/test%24file.text",
            [],
            [HOST, ("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            WELCOME,
        ),
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "GET lifecycle": (
        ("GET", "/", [("lifecycle", "")], [HOST], EMPTY_SHA256),
        "host;x-amz-content-sha256;x-amz-date",
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": (
        ("GET", "/", [("prefix", "J"), ("max-keys", "2")], [HOST], EMPTY_SHA256),
        "host;x-amz-content-sha256;x-amz-date",
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_examples_agree_at_every_step(name: str) -> None:
    (method, path, query, headers, payload_hash), signed_headers, canonical_hash, signature = EXAMPLES[name]
    all_headers = [*headers, ("x-amz-content-sha256", payload_hash), ("x-amz-date", "20130524T000000Z")]
    canonical = sigv4.canonical_request(method, path, query, all_headers, payload_hash)
    assert canonical.signed_headers == signed_headers
    assert hashlib.sha256(canonical.text.encode()).hexdigest() == canonical_hash

    scope = sigv4.Scope("20130524", "us-east-1")
    text = sigv4.string_to_sign(canonical, "20130524T000000Z", scope)
    assert text == f"AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n{canonical_hash}"

    assert sigv4.signature(sigv4.signing_key(SECRET_KEY, scope), text) == signature

    result = dict(
        sigv4.sign(
            method,
            path,
            query,
            headers,
            payload_hash=payload_hash,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            session_token=None,
            region="us-east-1",
            now=NOW,
        )
    )
    assert result["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )


def canonical(
    path: str = "/", query: list[tuple[str, str]] | None = None, headers: list[tuple[str, str]] | None = None
) -> list[str]:
    return sigv4.canonical_request("GET", path, query or [], headers or [("Host", "h")], "hash").text.split("\n")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([("b", "2"), ("a", "1")], "a=1&b=2"),
        ([("a", "2"), ("a", "1")], "a=1&a=2"),
        ([("a", ""), ("A", "")], "A=&a="),
        # Sorting joined strings would put "a=" behind "a-b=", as "-" is less than "=".
        ([("a-b", "1"), ("a", "1")], "a=1&a-b=1"),
        ([("a", "x y"), ("p", "+")], "a=x%20y&p=%2B"),
        ([("é", "日")], "%C3%A9=%E6%97%A5"),
        # Encoded "é" (%C3...) is less than "a", though the character is greater.
        ([("a", ""), ("é", "")], "%C3%A9=&a="),
        ([("k", "-._~/!*'()")], "k=-._~%2F%21%2A%27%28%29"),
        ([("uploads", "")], "uploads="),
        ([], ""),
    ],
)
def test_query_is_sorted_by_encoded_name_then_value(query: list[tuple[str, str]], expected: str) -> None:
    assert canonical(query=query)[2] == expected


@pytest.mark.parametrize("path", ["/a/../b", "//a///b/", "/./a", "/a/.", "/%2E%2E/b", "/a%20b%2Bc"])
def test_path_is_taken_as_it_is(path: str) -> None:
    assert canonical(path=path)[1] == path


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("My-Header", "  a  b\t c  ")], "my-header:a b c"),
        ([("my-header", '"a   b   c"')], 'my-header:"a b c"'),
        ([("X", "2"), ("x", "1"), ("X", "2")], "x:2,1,2"),
        ([("B", "1"), ("a", "2")], "a:2\nb:1"),
        ([("x-empty", "")], "x-empty:"),
        ([("Host", "h:9000")], "host:h:9000"),
    ],
)
def test_headers_are_trimmed_collapsed_joined_and_sorted(headers: list[tuple[str, str]], expected: str) -> None:
    assert "\n".join(canonical(headers=headers)[3:-3]) == expected


def test_headers_that_proxies_change_are_not_signed() -> None:
    headers = [("Host", "h"), *((name.title(), "x") for name in sigv4.NEVER_SIGNED)]
    assert sigv4.canonical_request("GET", "/", [], headers, "hash").signed_headers == "host"


def signed(**changes: object) -> dict[str, str]:
    arguments: dict[str, object] = {
        "payload_hash": EMPTY_SHA256,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "session_token": None,
        "region": "us-east-1",
        "now": NOW,
        **changes,
    }
    headers = arguments.pop("headers", [HOST])
    return dict(sigv4.sign("GET", "/", [], headers, **arguments))  # type: ignore[arg-type] # made of keywords


def test_session_token_is_sent_and_signed() -> None:
    result = signed(session_token="TOKEN==")
    assert result["x-amz-security-token"] == "TOKEN=="
    assert "x-amz-security-token" in result["Authorization"]
    assert result["Authorization"] != signed()["Authorization"]


def test_time_zone_is_converted_to_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-7)))
    assert signed(now=there) == signed()


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        sigv4.timestamp(datetime(2013, 5, 24))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\x00b", "é", "\x7f"])
def test_header_that_is_not_one_line_of_ascii_is_refused(value: str) -> None:
    with pytest.raises(RequestInvalid):
        signed(headers=[HOST, ("x-amz-meta-a", value)])


def test_signing_keys_are_kept_by_day_and_region_and_bounded() -> None:
    keys = sigv4.SigningKeys(limit=3)
    days = [sigv4.Scope(f"2013052{day}", "us-east-1") for day in range(6)]
    for scope in days:
        assert keys.get(SECRET_KEY, scope) == sigv4.signing_key(SECRET_KEY, scope)
        assert keys.get(SECRET_KEY, scope) is keys.get(SECRET_KEY, scope)
    assert len(keys) == 3
    assert keys.get("other", days[0]) != keys.get(SECRET_KEY, days[0])
    assert keys.get(SECRET_KEY, sigv4.Scope("20130520", "eu-west-1")) != keys.get(SECRET_KEY, days[0])


def test_signing_keys_show_neither_secret_nor_key() -> None:
    keys = sigv4.SigningKeys()
    scope = sigv4.Scope("20130524", "us-east-1")
    key = keys.get(SECRET_KEY, scope)
    assert SECRET_KEY not in repr(keys)
    assert key.hex() not in repr(keys)
    assert SECRET_KEY not in repr(keys._keys)


def test_key_rolls_at_midnight_utc() -> None:
    before = signed(now=datetime(2013, 5, 23, 23, 59, 59, tzinfo=UTC))
    assert "/20130523/" in before["Authorization"]
    assert "/20130524/" in signed()["Authorization"]
