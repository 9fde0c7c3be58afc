from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from aioftps3.embedded.errors import Refusal
from aioftps3.embedded.verifier import (
    ALLOWED_SKEW,
    UNSIGNED_PAYLOAD,
    Account,
    WireRequest,
    canonical_headers,
    canonical_path,
    canonical_query,
    verify,
)

# The published examples: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
EXAMPLE = Account(access_key="AKIAIOSFODNN7EXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXAMPLE_NOW = datetime(2013, 5, 24, tzinfo=UTC)
REST = "SignedHeaders=host,Signature=0"
EMPTY = hashlib.sha256(b"").hexdigest()


def example(
    method: str, target: str, signature: str, payload: str = EMPTY, extra: dict[str, str] | None = None
) -> WireRequest:
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "x-amz-content-sha256": payload,
        "x-amz-date": "20130524T000000Z",
        **(extra or {}),
    }
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={';'.join(sorted(headers))},Signature={signature}"
    )
    return WireRequest(method=method, target=target, headers=[*headers.items(), ("authorization", authorization)])


WELCOME = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()
EXAMPLES = [
    example(
        "GET",
        "/test.txt",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        extra={"range": "bytes=0-9"},
    ),
    example(
        "PUT",
        "/test%24file.text",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        WELCOME,
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
    ),
    example("GET", "/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    example("GET", "/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
]


def check(request: WireRequest, *, account: Account = EXAMPLE, now: datetime = EXAMPLE_NOW) -> str:
    return verify(request, account, region="us-east-1", now=now)


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda example: example.target)
def test_published_examples_verify(request_: WireRequest) -> None:
    assert check(request_) == request_.header("x-amz-content-sha256")


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda example: example.target)
def test_published_examples_fail_with_another_secret(request_: WireRequest) -> None:
    with pytest.raises(Refusal) as refused:
        check(request_, account=Account(access_key=EXAMPLE.access_key, secret_key="another"))
    assert refused.value.code == "SignatureDoesNotMatch"


def test_path_is_encoded_once_and_not_normalised() -> None:
    assert canonical_path("/a//../%2e%2E/b+c%20d!%21/~") == "/a//../../b%2Bc%20d%21%21/~"


def test_query_is_sorted_by_encoded_name_then_value_and_plus_is_a_plus() -> None:
    assert canonical_query("b=2&a-=1&a=2&a=%31&uploads&x=a+b&") == "a=1&a=2&a-=1&b=2&uploads=&x=a%2Bb"


def test_header_values_are_trimmed_collapsed_and_joined() -> None:
    headers = [("x-amz-a", "  one   two "), ("host", "h"), ("x-amz-a", "three"), ("other", "x")]
    assert canonical_headers(headers, ["host", "x-amz-a"]) == "host:h\nx-amz-a:one two,three\n"


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(key=keys, name=keys, value=keys, metadata=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_what_botocore_signs_verifies(key: str, name: str, value: str, metadata: str) -> None:
    url = f"http://localhost:1234/b/{quote(key, safe='/~')}?{quote(name, safe='~')}={quote(value, safe='~')}&uploads"
    request = AWSRequest(method="GET", url=url, headers={"x-amz-meta-a": metadata.strip(), "If-Match": '"x"'})
    S3SigV4Auth(Credentials("ak", "sk", "token"), "s3", "us-east-1").add_auth(request)
    headers = [(header.lower(), text) for header, text in request.headers.items()]
    wire = WireRequest(
        method="GET", target=url.removeprefix("http://localhost:1234"), headers=[*headers, ("host", "localhost:1234")]
    )
    account = Account(access_key="ak", secret_key="sk", session_token="token")
    assert check(wire, account=account, now=datetime.now(UTC)) == EMPTY


def altered(request: WireRequest, name: str, value: str | None) -> WireRequest:
    headers = [pair for pair in request.headers if pair[0] != name]
    return WireRequest(
        method=request.method, target=request.target, headers=headers if value is None else [*headers, (name, value)]
    )


def code_of(request: WireRequest, *, account: Account = EXAMPLE, now: datetime = EXAMPLE_NOW) -> tuple[int, str]:
    with pytest.raises(Refusal) as refused:
        check(request, account=account, now=now)
    return refused.value.status, refused.value.code


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, (403, "AccessDenied")),
        ("AWS AKIAIOSFODNN7EXAMPLE:abc", (400, "InvalidRequest")),
        ("AWS4-HMAC-SHA256", (400, "AuthorizationHeaderMalformed")),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request", (400, "AuthorizationHeaderMalformed")),
        ("AWS4-HMAC-SHA256 nonsense", (400, "AuthorizationHeaderMalformed")),
        ("AWS4-HMAC-SHA256 Signature=1,Signature=2,Credential=a", (400, "AuthorizationHeaderMalformed")),
        (
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
            (400, "AuthorizationHeaderMalformed"),
        ),
        (
            "AWS4-HMAC-SHA256 Credential=SOMEBODY/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
            (403, "InvalidAccessKeyId"),
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={EXAMPLE.access_key}/20130524/us-east-1/sts/aws4_request,{REST}",
            (400, "AuthorizationHeaderMalformed"),
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={EXAMPLE.access_key}/20130523/us-east-1/s3/aws4_request,{REST}",
            (400, "AuthorizationHeaderMalformed"),
        ),
    ],
)
def test_bad_authorization_headers_are_told_apart(authorization: str | None, expected: tuple[int, str]) -> None:
    assert code_of(altered(EXAMPLES[0], "authorization", authorization)) == expected


def test_wrong_region_names_the_right_one() -> None:
    with pytest.raises(Refusal) as refused:
        verify(EXAMPLES[0], EXAMPLE, region="eu-west-1", now=EXAMPLE_NOW)
    assert (refused.value.status, refused.value.code) == (400, "AuthorizationHeaderMalformed")
    assert refused.value.details["Region"] == "eu-west-1"


def test_presigned_urls_are_not_implemented() -> None:
    request = WireRequest(method="GET", target="/k?X-Amz-Signature=abc", headers=[("host", "h")])
    assert code_of(request) == (501, "NotImplemented")


def test_a_request_without_any_date_is_denied() -> None:
    assert code_of(altered(EXAMPLES[0], "x-amz-date", None)) == (403, "AccessDenied")


def test_a_date_that_is_none_is_denied() -> None:
    assert code_of(altered(EXAMPLES[0], "x-amz-date", "yesterday")) == (403, "AccessDenied")


@pytest.mark.parametrize("direction", [1, -1])
def test_fifteen_minutes_of_skew_are_allowed_and_a_second_more_is_not(direction: int) -> None:
    assert check(EXAMPLES[0], now=EXAMPLE_NOW + direction * ALLOWED_SKEW)
    late = EXAMPLE_NOW + direction * (ALLOWED_SKEW + timedelta(seconds=1))
    assert code_of(EXAMPLES[0], now=late) == (403, "RequestTimeTooSkewed")


def test_missing_payload_hash_is_an_invalid_request() -> None:
    assert code_of(altered(EXAMPLES[0], "x-amz-content-sha256", None)) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    "value", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-ANYTHING"]
)
def test_streaming_payloads_are_not_implemented(value: str) -> None:
    assert code_of(altered(EXAMPLES[0], "x-amz-content-sha256", value)) == (501, "NotImplemented")


def test_a_payload_hash_that_is_none_is_refused() -> None:
    assert code_of(altered(EXAMPLES[0], "x-amz-content-sha256", "0" * 63)) == (400, "InvalidArgument")


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-content-sha256"])
def test_headers_that_have_to_be_signed_are_named_when_they_are_not(name: str) -> None:
    signed = ";".join(header for header in ("host", "x-amz-content-sha256", "x-amz-date") if header != name)
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed}, Signature=0"
    )
    with pytest.raises(Refusal) as refused:
        check(altered(EXAMPLES[2], "authorization", authorization))
    assert refused.value.code == "AccessDenied"
    assert refused.value.details == {"HeadersNotSigned": name}


def test_session_token_never_shows_in_a_refusal() -> None:
    headers = [*EXAMPLES[2].headers, ("x-amz-security-token", "very-secret-token")]
    authorization = (EXAMPLES[2].header("authorization") or "").replace("x-amz-date", "x-amz-date;x-amz-security-token")
    spoilt = WireRequest(
        method="GET",
        target="/?lifecycle",
        headers=[pair for pair in headers if pair[0] != "authorization"] + [("authorization", authorization)],
    )
    with pytest.raises(Refusal) as refused:
        check(spoilt)
    assert refused.value.code == "SignatureDoesNotMatch"
    assert "very-secret-token" not in f"{refused.value}{refused.value.details}"


def test_secrets_are_not_in_the_repr_of_an_account() -> None:
    assert "secret" not in repr(Account(access_key="a", secret_key="secret-1", session_token="secret-2"))


def test_unsigned_payload_is_passed_on() -> None:
    request = AWSRequest(method="PUT", url="http://h/b/k")
    auth = S3SigV4Auth(Credentials(EXAMPLE.access_key, EXAMPLE.secret_key), "s3", "us-east-1")
    auth.payload = lambda request: UNSIGNED_PAYLOAD
    auth.add_auth(request)
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    wire = WireRequest(method="PUT", target="/b/k", headers=[*headers, ("host", "h")])
    assert check(wire, now=datetime.now(UTC)) == UNSIGNED_PAYLOAD
