from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from aioftps3.embedded import Answer, DirectoryDamaged, DirectoryInUse, EmbeddedS3, Limits
from tests.unit.embedded.signed_client import (
    ACCESS_KEY,
    BUCKET,
    MIN_PART,
    ODD_KEYS,
    PARTS,
    REGION,
    SECRET_KEY,
    WHOLE,
    SignedClient,
    crc32_of,
    multipart_etag,
    upload_all,
)

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientSession

    from aioftps3.embedded import BodyStream, Call, Proceed


def at(directory: Path) -> EmbeddedS3:
    return EmbeddedS3(
        bucket=BUCKET,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        region=REGION,
        directory=directory,
        limits=Limits(min_part=MIN_PART),
    )


def leftovers(directory: Path) -> list[Path]:
    return list(directory.rglob("*.tmp"))


def blobs(directory: Path) -> list[Path]:
    return [path for path in (directory / "blobs").rglob("*") if path.is_file()]


async def test_objects_of_any_key_are_there_after_a_restart(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path / "a" / "b") as s3:
        for key in ODD_KEYS:
            s3.put(key, key.encode(), headers={"x-amz-meta-key": "1", "content-type": "text/plain"})
        before = [await SignedClient(session, s3).send("HEAD", key) for key in ODD_KEYS]
    async with at(tmp_path / "a" / "b") as s3:
        assert s3.objects() == {key: len(key.encode()) for key in sorted(ODD_KEYS)}
        for key, earlier in zip(ODD_KEYS, before, strict=True):
            later = await SignedClient(session, s3).send("GET", key)
            assert later.body == key.encode()
            for name in ("ETag", "Last-Modified", "Content-Type", "x-amz-meta-key"):
                assert later.headers[name] == earlier.headers[name]


async def test_an_object_may_be_older_than_the_server(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path) as s3:
        s3.put("key", b"x", modified=1_600_000_000)
    async with at(tmp_path) as s3:
        found = await SignedClient(session, s3).send("HEAD", "key")
        assert found.headers["Last-Modified"] == "Sun, 13 Sep 2020 12:26:40 GMT"


async def test_upload_goes_on_after_a_restart(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path) as s3:
        upload_id, etags = await upload_all(SignedClient(session, s3), "key", PARTS)
        await SignedClient(session, s3).upload_part("key", upload_id, 2, PARTS[1])
    async with at(tmp_path) as s3:
        assert s3.uploads_in_progress == [("key", upload_id)]
        client = SignedClient(session, s3)
        listed = await client.send("GET", "key", query={"uploadId": upload_id})
        assert listed.texts("Part/ETag") == list(etags.values())
        reply = await client.complete("key", upload_id, etags)
        assert reply.text("ETag") == multipart_etag(PARTS)
    async with at(tmp_path) as s3:
        assert s3.uploads_in_progress == []
        assert s3.read("key") == WHOLE
        assert len(blobs(tmp_path)) == 3


async def test_checksums_and_the_deletion_of_objects_outlast_a_restart(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path) as s3:
        client = SignedClient(session, s3)
        await client.put("key", b"x", x_amz_checksum_crc32=crc32_of(b"x"))
        s3.put("gone", b"y")
        s3.delete("gone")
    async with at(tmp_path) as s3:
        assert s3.objects() == {"key": 1}
        head = await SignedClient(session, s3).send("HEAD", "key", headers={"x-amz-checksum-mode": "ENABLED"})
        assert head.headers["x-amz-checksum-crc32"] == crc32_of(b"x")


async def test_files_go_when_nothing_uses_them_any_more(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path) as s3:
        client = SignedClient(session, s3)
        upload_id, etags = await upload_all(client, "multi", PARTS)
        await client.upload_part("multi", upload_id, 4, b"left out")
        await client.upload_part("multi", upload_id, 4, b"left out again")
        assert len(blobs(tmp_path)) == 4
        await client.complete("multi", upload_id, etags)
        assert len(blobs(tmp_path)) == 3
        await client.put("copy", x_amz_copy_source=f"{BUCKET}/multi")
        assert len(blobs(tmp_path)) == 3
        await client.send("DELETE", "multi")
        assert len(blobs(tmp_path)) == 3
        await client.put("copy", b"small")
        assert len(blobs(tmp_path)) == 1
        other, _ = await upload_all(client, "other", PARTS)
        await client.send("DELETE", "other", query={"uploadId": other})
        await client.put("copy", b"refused", If_None_Match="*")
        await client.send("PUT", "bad", body=b"x", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
        assert len(blobs(tmp_path)) == 1
        await client.send("DELETE", "copy")
        assert blobs(tmp_path) == []
        assert list((tmp_path / "uploads").iterdir()) == []
        assert list((tmp_path / "objects").iterdir()) == []


async def test_empty_objects_need_no_file(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path) as s3:
        await SignedClient(session, s3).put("dir/", b"")
        assert blobs(tmp_path) == []
    async with at(tmp_path) as s3:
        assert s3.objects() == {"dir/": 0}


async def test_what_a_crash_left_behind_is_removed_at_the_start(tmp_path: Path) -> None:
    async with at(tmp_path) as s3:
        s3.put("key", b"data")
    (tmp_path / "blobs" / "ab").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "ab" / "ab00").write_bytes(b"orphan")
    (tmp_path / "objects" / "half.tmp").write_text("{")
    (tmp_path / "uploads" / "0123").mkdir()
    (tmp_path / "uploads" / "0123" / "1.json").write_text("{}")
    async with at(tmp_path) as s3:
        assert s3.read("key") == b"data"
        assert s3.uploads_in_progress == []
    assert len(blobs(tmp_path)) == 1
    assert not (tmp_path / "objects" / "half.tmp").exists()
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_directory_in_use_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    async with at(tmp_path):
        with pytest.raises(DirectoryInUse, match="used by another"):
            await at(tmp_path).start()
    async with at(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"blob": 1, "checksum": null}'])
async def test_damaged_record_is_named_and_the_directory_let_go(tmp_path: Path, text: str) -> None:
    async with at(tmp_path):
        pass
    record = tmp_path / "objects" / "x.json"
    record.write_text(text)
    with pytest.raises(DirectoryDamaged, match=r"x\.json"):
        await at(tmp_path).start()
    record.unlink()
    async with at(tmp_path):
        pass


async def test_port_that_is_taken_lets_the_directory_go(tmp_path: Path) -> None:
    async with at(tmp_path / "a") as s3:
        second = EmbeddedS3(bucket=BUCKET, access_key="a", secret_key="b", directory=tmp_path / "b", port=s3.port)
        with pytest.raises(OSError, match="in use"):
            await second.start()
    async with at(tmp_path / "b"):
        pass


async def test_full_disk_is_an_internal_error_and_leaves_everything_as_it_was(
    tmp_path: Path, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at(tmp_path) as s3:
        client = SignedClient(session, s3)
        s3.put("key", b"before")
        upload_id = await client.create_upload("upload")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        for failing in ("DirectoryStore.new_file", "_write_record"):
            with monkeypatch.context() as patch:
                patch.setattr(f"aioftps3.embedded.directory.{failing}", full)
                assert (await client.put("key", os.urandom(10))).error == (500, "InternalError")
                assert (await client.upload_part("upload", upload_id, 1, b"x")).error == (500, "InternalError")
        assert s3.objects() == {"key": 6}
        assert s3.read("key") == b"before"
        assert len(blobs(tmp_path)) == 1
        assert leftovers(tmp_path) == []


class Closing:
    """A body that tells when it is closed."""

    def __init__(self, body: BodyStream, over: asyncio.Event) -> None:
        self._body, self._over = body, over

    def __aiter__(self) -> Closing:
        return self

    async def __anext__(self) -> bytes:
        return await self._body.__anext__()

    async def aclose(self) -> None:
        await self._body.aclose()
        self._over.set()


async def test_download_that_breaks_off_lets_its_files_go(
    tmp_path: Path, session: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with at(tmp_path) as s3:
        s3.put("key", bytes(50_000_000))
        over = asyncio.Event()

        async def watch(call: Call, proceed: Proceed) -> Answer:
            answer = await proceed()
            if not isinstance(answer.body, bytes):
                answer.body = Closing(answer.body, over)
            return answer

        s3.intercept = watch
        async with asyncio.timeout(10):
            response = await SignedClient(session, s3).open("GET", "key")
            assert await response.content.read(10) == bytes(10)
            response.close()
            await over.wait()
        s3.delete("key")
        assert blobs(tmp_path) == []
        assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


async def test_body_that_an_intercept_puts_aside_lets_its_files_go(tmp_path: Path, session: ClientSession) -> None:
    async with at(tmp_path) as s3:

        async def replace(call: Call, proceed: Proceed) -> Answer:
            await proceed()
            return Answer(status=200, body=b"something else")

        s3.put("key", b"data")
        s3.intercept = replace
        assert (await SignedClient(session, s3).send("GET", "key")).body == b"something else"
        s3.delete("key")
        assert blobs(tmp_path) == []
