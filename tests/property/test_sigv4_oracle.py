"""Our signatures equal botocore's for whatever key, query and headers."""

from datetime import UTC, datetime

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3 import sigv4, uri
from aioftps3.s3.models import Endpoint

NOW = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
WHEN = "20260228T235959Z"

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["..", ".", "//", "a/../b", "a+b", "%41", "a&b=c", "#", "?", "'\"", "é", "日本", "~", "a b", "*!()", "\x00\x01\n"]
)
keys = st.lists(texts, min_size=1, max_size=4).map("/".join).filter(bool)
queries = st.lists(st.tuples(texts, texts), max_size=5)
names = st.sampled_from(
    [
        "Content-Type",
        "Content-MD5",
        "Range",
        "If-Match",
        "x-amz-meta-a",
        "x-amz-meta-B",
        "User-Agent",
        "Expect",
        "X-Other",
    ]
)
values = st.text(st.sampled_from("ab ,\t\"'=~/;:\\{}Z9"), max_size=12)
headers = st.lists(st.tuples(names, values), max_size=6)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    key=keys,
    query=queries,
    extra=headers,
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    host=st.sampled_from([None, "http://localhost:9000", "http://store.test", "https://store.test:443"]),
    token=st.none() | st.just("to/ken=="),
    body=st.binary(max_size=20),
)
def test_every_step_equals_botocore(
    key: str,
    query: list[tuple[str, str]],
    extra: list[tuple[str, str]],
    method: str,
    host: str | None,
    token: str | None,
    body: bytes,
) -> None:
    endpoint = Endpoint.for_bucket("bucket", "eu-west-1", host)
    path = endpoint.path(key)
    url = f"{endpoint.scheme}://{endpoint.authority}{path}"

    theirs = AWSRequest(method=method, url=url, params=list(query), data=body)
    for name, value in extra:
        theirs.headers.add_header(name, value)
    theirs.context["timestamp"] = WHEN
    theirs.context["payload_signing_enabled"] = True
    auth = S3SigV4Auth(Credentials("AK", "SK", token), "s3", "eu-west-1")
    auth._modify_request_before_signing(theirs)
    canonical = auth.canonical_request(theirs)
    text = auth.string_to_sign(theirs, canonical)
    signature = auth.signature(text, theirs)

    payload_hash = theirs.headers["X-Amz-Content-SHA256"]
    ours = sigv4.sign(
        method,
        path,
        query,
        [("Host", endpoint.authority), *extra],
        payload_hash=payload_hash,
        access_key="AK",
        secret_key="SK",
        session_token=token,
        region="eu-west-1",
        now=NOW,
    )
    request = sigv4.canonical_request(method, path, query, ours, payload_hash)
    assert request.text == canonical
    assert sigv4.string_to_sign(request, WHEN, sigv4.Scope("20260228", "eu-west-1")) == text
    assert dict(ours)["Authorization"].endswith(f"Signature={signature}")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(query=queries)
def test_encoded_query_is_what_is_sent_and_signed(query: list[tuple[str, str]]) -> None:
    encoded = uri.encode_query(query)
    assert encoded == sigv4.canonical_request("GET", "/", query, [], "hash").text.split("\n")[2]
    assert encoded.isascii()
    assert " " not in encoded
