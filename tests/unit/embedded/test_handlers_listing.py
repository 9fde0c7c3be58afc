from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioftps3.embedded import EmbeddedS3
from aioftps3.embedded.handlers_listing import after_prefix, select_page
from tests.unit.embedded.signed_client import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Reply, SignedClient

if TYPE_CHECKING:
    from aiohttp import ClientSession


async def list_page(client: SignedClient, **query: str) -> Reply:
    return await client.send("GET", query={"list-type": "2", **{k.replace("_", "-"): v for k, v in query.items()}})


async def list_all(client: SignedClient, **query: str) -> tuple[list[str], list[str], int]:
    """Keys, prefixes and the number of pages."""
    keys: list[str] = []
    prefixes: list[str] = []
    pages = 0
    while True:
        reply = await list_page(client, **query)
        assert reply.status == 200, reply.body
        shown, common = reply.texts("Contents/Key"), reply.texts("CommonPrefixes/Prefix")
        assert int(reply.text("KeyCount")) == len(shown) + len(common)
        assert int(reply.text("KeyCount")) <= int(reply.text("MaxKeys"))
        keys += shown
        prefixes += common
        pages += 1
        if reply.text("IsTruncated") == "false":
            return keys, prefixes, pages
        query["continuation_token"] = reply.text("NextContinuationToken")


async def test_listing_shows_key_size_etag_and_time(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("a&b", b"data")
    reply = await list_page(client)
    assert reply.text("Name") == "tests"
    assert reply.text("Contents/Key") == "a&b"
    assert reply.text("Contents/Size") == "4"
    assert reply.text("Contents/ETag") == '"8d777f385d3dfec8815d20f7496026dc"'
    assert reply.text("Contents/StorageClass") == "STANDARD"
    assert reply.text("Contents/LastModified").endswith(".000Z")
    assert (reply.text("MaxKeys"), reply.text("IsTruncated")) == ("1000", "false")


async def test_empty_bucket_lists_nothing(client: SignedClient) -> None:
    assert await list_all(client) == ([], [], 1)


async def test_keys_come_in_the_order_of_their_utf_8_bytes(s3: EmbeddedS3, client: SignedClient) -> None:
    keys = ["a", "B", "é", "z", "日本", "\ufffd", "🦆", "a/b", "a.b", "-", " "]
    for key in keys:
        s3.put(key, b"")
    assert (await list_all(client))[0] == sorted(keys, key=str.encode)


async def test_delimiter_groups_keys_into_common_prefixes(s3: EmbeddedS3, client: SignedClient) -> None:
    for key in ("a", "b/", "b/1", "b/2/x", "c//d", "d", "e/f/g"):
        s3.put(key, b"")
    assert await list_all(client, delimiter="/") == (["a", "d"], ["b/", "c/", "e/"], 1)
    assert await list_all(client, delimiter="/", prefix="b/") == (["b/", "b/1"], ["b/2/"], 1)
    assert await list_all(client, delimiter="/", prefix="b") == ([], ["b/"], 1)
    assert await list_all(client, delimiter="/", prefix="c/") == ([], ["c//"], 1)
    assert await list_all(client, delimiter="f/") == (["a", "b/", "b/1", "b/2/x", "c//d", "d"], ["e/f/"], 1)
    assert await list_all(client, prefix="b/") == (["b/", "b/1", "b/2/x"], [], 1)
    assert await list_all(client, prefix="x") == ([], [], 1)


async def test_common_prefixes_count_towards_max_keys(s3: EmbeddedS3, client: SignedClient) -> None:
    for number in range(5):
        s3.put(f"d{number}/x", b"")
        s3.put(f"d{number}/y", b"")
        s3.put(f"f{number}", b"")
    keys, prefixes, pages = await list_all(client, delimiter="/", max_keys="3")
    assert keys == [f"f{number}" for number in range(5)]
    assert prefixes == [f"d{number}/" for number in range(5)]
    assert pages == 4


async def test_a_last_page_that_is_full_is_not_truncated(s3: EmbeddedS3, client: SignedClient) -> None:
    for key in "abcd":
        s3.put(key, b"")
    assert (await list_all(client, max_keys="2"))[2] == 2
    for key in "abcd":
        s3.delete(key)
        s3.put(f"{key}/x", b"")
        s3.put(f"{key}/y", b"")
    assert (await list_all(client, max_keys="2", delimiter="/"))[2] == 2


async def test_start_after_leaves_out_the_key_itself(s3: EmbeddedS3, client: SignedClient) -> None:
    for key in ("a", "b", "b/x", "c"):
        s3.put(key, b"")
    assert (await list_all(client, start_after="b"))[0] == ["b/x", "c"]
    assert (await list_all(client, start_after="aa"))[0] == ["b", "b/x", "c"]
    assert (await list_page(client, start_after="b")).text("StartAfter") == "b"
    assert (await list_all(client, start_after="b", prefix="a"))[0] == []


@pytest.mark.parametrize(("asked", "shown"), [("0", "0"), ("1", "1"), ("1000", "1000"), ("5000", "1000"), ("", "1000")])
async def test_max_keys_is_capped_at_1000(s3: EmbeddedS3, client: SignedClient, asked: str, shown: str) -> None:
    s3.put("a", b"")
    reply = await list_page(client, max_keys=asked)
    assert reply.text("MaxKeys") == shown
    assert reply.text("IsTruncated") == "false"
    assert reply.text("KeyCount") == ("0" if asked == "0" else "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_keys", "-1"),
        ("max_keys", "many"),
        ("max_keys", "²"),
        ("continuation_token", "nonsense!"),
        ("continuation_token", "eHl6"),
        ("encoding_type", "base64"),
        ("list_type", "1"),
    ],
)
async def test_bad_listing_arguments_are_refused(client: SignedClient, name: str, value: str) -> None:
    assert (await list_page(client, **{name: value})).error == (400, "InvalidArgument")


async def test_url_encoding_makes_any_key_listable(s3: EmbeddedS3, client: SignedClient) -> None:
    keys = sorted(["a b+c", "\x01\n\r", "d/é/x", "d/%2F", "p ?/1", "~*'"])
    for key in keys:
        s3.put(key, b"")
    listed, _, _ = await list_all(client, encoding_type="url")
    assert [unquote_plus(key) for key in listed] == keys
    assert "a+b%2Bc" in listed
    reply = await list_page(client, encoding_type="url", delimiter="é/", prefix="d/", start_after="a b")
    assert (reply.text("Delimiter"), reply.text("Prefix"), reply.text("StartAfter")) == ("%C3%A9/", "d/", "a+b")
    assert reply.text("EncodingType") == "url"
    assert reply.text("CommonPrefixes/Prefix") == "d/%C3%A9/"


async def test_changes_between_two_pages_neither_hide_nor_repeat_a_key(s3: EmbeddedS3, client: SignedClient) -> None:
    for key in "bdfh":
        s3.put(key, b"")
    page = await list_page(client, max_keys="2")
    for key in "bdf":
        s3.delete(key)
    for key in "aceg":
        s3.put(key, b"")
    token = page.text("NextContinuationToken")
    reply = await list_page(client, continuation_token=token)
    assert reply.texts("Contents/Key") == ["e", "g", "h"]
    assert reply.text("ContinuationToken") == token


async def test_twenty_thousand_keys_take_twenty_pages(session: ClientSession) -> None:
    async with EmbeddedS3(bucket=BUCKET, access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION) as s3:
        for number in range(20_000):
            s3.put(f"{number:05}", b"")
        keys, _, pages = await list_all(SignedClient(session, s3))
    assert (len(keys), pages, keys == sorted(keys)) == (20_000, 20, True)


NAMES = st.text("ab/\U0010ffff\U0001f986", max_size=6)


@given(keys=st.sets(NAMES.filter(bool), max_size=30), prefix=NAMES, delimiter=st.sampled_from(["", "/", "a", "//"]))
def test_pages_together_are_what_a_plain_loop_finds(keys: set[str], prefix: str, delimiter: str) -> None:
    ordered = sorted(keys)
    expected: list[str] = []
    for key in ordered:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entry = key if cut < 0 else key[: cut + len(delimiter)]
            if entry not in expected or entry == key:
                expected.append(entry)
    start, found = 0, []
    while True:
        page = select_page(ordered, start=start, prefix=prefix, delimiter=delimiter, limit=2)
        found += page.keys + page.prefixes
        assert len(page.keys) + len(page.prefixes) <= 2
        if page.last is None:
            break
        is_prefix, name = page.last
        start = after_prefix(ordered, name) if is_prefix else ordered.index(name) + 1
    assert sorted(found) == sorted(expected)


async def test_uploads_are_listed_by_key_then_by_their_beginning(s3: EmbeddedS3, client: SignedClient) -> None:
    ids = [(key, await client.create_upload(key)) for key in ("b", "a", "b", "c/é", "a")]
    expected = sorted(ids, key=lambda pair: pair[0])
    reply = await client.send("GET", query={"uploads": ""})
    assert list(zip(reply.texts("Upload/Key"), reply.texts("Upload/UploadId"), strict=True)) == expected
    assert reply.text("IsTruncated") == "false"
    assert reply.text("Upload/Initiated").endswith(".000Z")
    assert sorted(s3.uploads_in_progress) == sorted(ids)
    with_prefix = await client.send("GET", query={"uploads": "", "prefix": "c/", "encoding-type": "url"})
    assert with_prefix.texts("Upload/Key") == ["c/%C3%A9"]


async def test_uploads_are_paged_even_when_they_are_aborted_meanwhile(s3: EmbeddedS3, client: SignedClient) -> None:
    ids = sorted([(key, await client.create_upload(key)) for key in ("a", "a", "a", "b", "c")])
    found: list[tuple[str, str]] = []
    query = {"uploads": "", "max-uploads": "2"}
    while True:
        reply = await client.send("GET", query=query)
        page = list(zip(reply.texts("Upload/Key"), reply.texts("Upload/UploadId"), strict=True))
        found += page
        for key, upload_id in page:
            assert (await client.send("DELETE", key, query={"uploadId": upload_id})).status == 204
        if reply.text("IsTruncated") == "false":
            break
        query |= {"key-marker": reply.text("NextKeyMarker"), "upload-id-marker": reply.text("NextUploadIdMarker")}
    assert found == ids
    assert s3.uploads_in_progress == []


async def test_key_marker_alone_skips_all_uploads_of_that_key(client: SignedClient) -> None:
    for key in ("a", "a", "b"):
        await client.create_upload(key)
    reply = await client.send("GET", query={"uploads": "", "key-marker": "a"})
    assert reply.texts("Upload/Key") == ["b"]


async def test_listing_no_uploads_at_all_is_refused(client: SignedClient) -> None:
    assert (await client.send("GET", query={"uploads": "", "max-uploads": "0"})).error == (400, "InvalidArgument")
