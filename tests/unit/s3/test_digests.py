"""Which digests of an object are known, and which only seem to be."""

import base64
import hashlib
import zlib
from dataclasses import replace

import pytest

from aioftps3.s3 import digests
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm, Checksum
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import copy_any_size
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.models import Endpoint, ObjectInfo
from aioftps3.s3.upload import Upload
from tests.unit.s3.fakes import FakeS3, client_of, etag, header

DATA = b"some content"
MD5 = hashlib.md5(DATA, usedforsecurity=False)
SHA256 = hashlib.sha256(DATA)
CRC32 = zlib.crc32(DATA).to_bytes(4, "big")
PLAIN = ObjectInfo(key="k", size=len(DATA), etag=etag(DATA), last_modified=0.0)


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def known(info: ObjectInfo, *, md5: bool = False) -> dict[str, bytes]:
    return digests.known(info, etag_is_md5=md5)


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("encryption", [None, "AES256"])
def test_an_etag_is_an_md5_where_that_is_documented(quoted: bool, encryption: str | None) -> None:
    info = replace(PLAIN, etag=PLAIN.etag if quoted else PLAIN.etag.strip('"'), encryption=encryption)
    assert known(info, md5=True) == {"md5": MD5.digest()}
    assert known(info) == {}


@pytest.mark.parametrize(
    "info",
    [
        replace(PLAIN, etag=f'"{MD5.hexdigest()}-2"'),
        replace(PLAIN, encryption="aws:kms"),
        replace(PLAIN, encryption="aws:kms:dsse"),
        replace(PLAIN, encryption="customer"),
        replace(PLAIN, etag='"not-a-digest"'),
        replace(PLAIN, etag=f'"{SHA256.hexdigest()}"'),
    ],
)
def test_other_etags_are_no_md5(info: ObjectInfo) -> None:
    assert known(info, md5=True) == {}


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("crc32", CRC32),
        ("sha256", SHA256.digest()),
        ("sha1", hashlib.sha1(DATA, usedforsecurity=False).digest()),
    ],
)
def test_a_checksum_of_the_whole_is_known(algorithm: str, digest: bytes) -> None:
    assert known(replace(PLAIN, checksum=Checksum(algorithm, encoded(digest)))) == {algorithm: digest}


@pytest.mark.parametrize(
    "checksum",
    [
        Checksum("sha256", encoded(SHA256.digest()) + "-2"),
        Checksum("crc32", encoded(b"too long")),
        Checksum("crc64nvme", encoded(bytes(8))),
        Checksum("crc32c", encoded(bytes(4))),
        Checksum("crc32", "*"),
    ],
)
def test_other_checksums_are_not_told(checksum: Checksum) -> None:
    assert known(replace(PLAIN, checksum=checksum)) == {}


@pytest.mark.parametrize(
    "note",
    [
        SHA256.hexdigest(),
        f"{SHA256.hexdigest()}/{len(DATA) + 1}",
        f"{MD5.hexdigest()}/{len(DATA)}",
        f"{SHA256.hexdigest()}0/{len(DATA)}",
        "",
        f"/{len(DATA)}",
    ],
)
def test_a_note_that_does_not_fit_the_object_is_not_believed(note: str) -> None:
    """Other programs keep the metadata of an object to which they append."""
    assert known(replace(PLAIN, metadata={"aioftps3-sha256": note})) == {}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"sign_payload": True}, {"sha256"}),
        ({"checksum": Algorithm.MD5}, {"md5"}),
        ({"checksum": Algorithm.MD5, "sign_payload": True}, {"md5", "sha256"}),
        ({"checksum": Algorithm.CRC32}, set()),
        ({}, set()),
    ],
)
@pytest.mark.parametrize("data", [DATA, b""])
async def test_uploads_of_one_part_note_what_is_computed_anyway(
    options: dict[str, object], names: set[str], data: bytes
) -> None:
    fake = FakeS3()
    client = client_of(fake, **options)  # type: ignore[arg-type]  # the options of the cases above
    upload = Upload(client, "k", budget=ByteBudget(1000), part_size=100)
    await upload.write(data)
    await upload.complete()
    await copy_any_size(client, await client.head_object("k"), "copy")
    expected = {"md5": hashlib.md5(data, usedforsecurity=False).digest(), "sha256": hashlib.sha256(data).digest()}
    for key in ("k", "copy"):
        assert known(await client.head_object(key)) == {name: expected[name] for name in names}


async def test_uploads_in_parts_note_nothing() -> None:
    fake = FakeS3()
    client = client_of(fake, sign_payload=True, checksum=Algorithm.MD5)
    upload = Upload(client, "k", budget=ByteBudget(1000), part_size=10)
    await upload.write(DATA)
    await upload.complete()
    assert known(await client.head_object("k")) == {}


@pytest.mark.parametrize(
    ("host", "bucket", "options", "told"),
    [
        (None, "bucket", {"checksum": Algorithm.CRC32}, ("crc32", "md5")),
        (None, "bucket", {}, ("md5",)),
        (None, "name--use1-az4--x-s3", {"checksum": Algorithm.CRC32}, ("crc32",)),
        ("minio", "bucket", {"sign_payload": True}, ("sha256",)),
        ("http://minio", "bucket", {"checksum": Algorithm.CRC32}, ("crc32", "sha256")),
        ("minio", "bucket", {"checksum": Algorithm.SHA256}, ("sha256",)),
        ("minio", "bucket", {"checksum": Algorithm.MD5}, ("md5",)),
        ("minio", "bucket", {"checksum": Algorithm.CRC64NVME}, ()),
        ("minio", "bucket", {}, ()),
    ],
)
def test_what_can_be_told_follows_from_the_endpoint_and_the_checksum(
    host: str | None, bucket: str, options: dict[str, object], told: tuple[str, ...]
) -> None:
    endpoint = Endpoint.for_bucket(bucket, "us-east-1", host)
    client = S3Client(FakeS3(), endpoint, StaticCredentials("AK", "SK"), **options)  # type: ignore[arg-type]
    assert digests.told(client) == told


async def test_checksums_are_asked_for_only_where_the_client_has_one_that_is_kept() -> None:
    for checksum, expected in ((Algorithm.CRC32, "ENABLED"), (Algorithm.MD5, None), (None, None)):
        fake = FakeS3()
        fake.objects["k"], fake.metadata["k"] = DATA, {}
        client = client_of(fake, checksum=checksum)
        await client.head_object("k", checksum=True)
        await client.head_object("k")
        assert [header(request, "x-amz-checksum-mode") for request in fake.sent] == [expected, None]
