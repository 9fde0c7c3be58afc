"""How many S3 requests each command costs, counted on the embedded server: promise 4 of the design."""

from __future__ import annotations

import contextlib
import ftplib
import hashlib
import io
import math
from collections.abc import Callable, Iterator

import pytest

from tests.support.backends import EmbeddedBackend
from tests.support.clients import connect, read, store
from tests.support.daemon import Daemon

pytestmark = pytest.mark.parametrize("backend", ["embedded"], indirect=True)

PAGE = 1000
"""Entries that S3 lists in one answer."""


@pytest.fixture
def session(daemon: Daemon, folder: str, embedded: EmbeddedBackend) -> Iterator[ftplib.FTP_TLS]:
    """A session at the clients' root; paths below `folder` are given whole, so that no CWD is counted."""
    with contextlib.closing(connect(daemon.access("explicit"))) as opened:
        opened.voidcmd("TYPE I")
        embedded.clear_requests()
        yield opened
        opened.quit()


def test_a_login_asks_s3_nothing(daemon: Daemon, embedded: EmbeddedBackend) -> None:
    for mode in ("explicit", "implicit"):
        embedded.clear_requests()
        with contextlib.closing(connect(daemon.access(mode))) as session:
            assert session.pwd() == "/"
            session.cwd("/")
            session.sendcmd("FEAT")
            session.quit()
        assert embedded.operations() == []


@pytest.mark.parametrize("content", [b"", b"x", bytes(8 * 1024 * 1024 - 1)], ids=len)
def test_storing_a_small_new_file_is_one_put(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, content: bytes
) -> None:
    store(session, f"{folder}/file", content)
    assert embedded.operations() == ["PutObject"]


def test_storing_a_file_of_three_parts_is_one_request_a_part_and_two(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
) -> None:
    store(session, f"{folder}/file", bytes(17 * 1024 * 1024))
    operations = embedded.operations()
    assert (operations[0], operations[-1]) == ("CreateMultipartUpload", "CompleteMultipartUpload")
    assert operations[1:-1] == ["UploadPart"] * 3


@pytest.mark.parametrize("content", [b"", b"x", bytes(20 * 1024 * 1024)], ids=len)
def test_reading_a_file_is_one_get(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, content: bytes
) -> None:
    embedded.put(f"{folder}/file", content)
    assert read(session, f"{folder}/file") == content
    assert embedded.operations() == ["GetObject"]


def test_reading_from_a_position_is_one_get(session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str) -> None:
    embedded.put(f"{folder}/file", b"0123456789")
    assert read(session, f"{folder}/file", rest=4) == b"456789"
    assert embedded.operations() == ["GetObject"]


@pytest.mark.parametrize(
    ("size", "commands", "expected"),
    [
        (10, ("APPE",), ["HeadObject", "GetObject", "HeadObject", "PutObject"]),
        (10, ("SIZE", "APPE"), ["HeadObject", "GetObject", "HeadObject", "PutObject"]),
        (10, ("REST 4", "STOR"), ["GetObject", "HeadObject", "PutObject"]),
        (10, ("REST 10", "STOR"), ["GetObject", "HeadObject", "PutObject"]),
        (
            6 * 1024 * 1024,
            ("APPE",),
            [
                *("HeadObject", "CreateMultipartUpload", "UploadPartCopy"),
                *("UploadPart", "HeadObject", "CompleteMultipartUpload"),
            ],
        ),
        (
            6 * 1024 * 1024,
            ("REST 6000000", "STOR"),
            [
                *("HeadObject", "CreateMultipartUpload", "UploadPartCopy"),
                *("UploadPart", "HeadObject", "CompleteMultipartUpload"),
            ],
        ),
        (None, ("APPE",), ["HeadObject", "HeadObject", "PutObject"]),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_appending_costs_what_is_promised(
    session: ftplib.FTP_TLS,
    embedded: EmbeddedBackend,
    folder: str,
    size: int | None,
    commands: tuple[str, ...],
    expected: list[str],
) -> None:
    """The second HeadObject is for stores other than AWS."""
    if size is not None:
        embedded.put(f"{folder}/file", bytes(size))
    for command in commands[:-1]:
        session.sendcmd(command if command.startswith("REST") else f"{command} {folder}/file")
    session.storbinary(f"{commands[-1]} {folder}/file", io.BytesIO(b"new"))
    assert embedded.operations() == expected


def test_appending_again_costs_a_request_less(session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str) -> None:
    for _ in range(2):
        embedded.clear_requests()
        session.storbinary(f"APPE {folder}/file", io.BytesIO(b"a line"))
    assert embedded.operations() == ["GetObject", "HeadObject", "PutObject"]
    assert embedded.read(f"{folder}/file") == b"a linea line"


def _listed(session: ftplib.FTP_TLS, command: str, path: str) -> int:
    lines: list[str] = []
    session.retrlines(f"{command} {path}", lines.append)
    return len(lines)


@pytest.mark.parametrize("entries", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2500])
def test_a_listing_is_one_request_a_page(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, entries: int
) -> None:
    embedded.put_many([f"{folder}/file {number}" for number in range(entries)])
    for command in ("LIST", "NLST", "MLSD"):
        embedded.clear_requests()
        assert _listed(session, command, f"/{folder}") == entries
        operations = embedded.operations()
        assert set(operations) == {"ListObjectsV2"}
        # The directory's own marker object is one entry more for S3.
        assert len(operations) == max(1, math.ceil((entries + 1) / PAGE))
        assert len(operations) <= math.ceil(entries / PAGE) + 1


@pytest.mark.parametrize("directories", [PAGE, PAGE + 1])
def test_a_listing_of_directories_is_one_request_a_page(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, directories: int
) -> None:
    embedded.put_many([f"{folder}/implicit/{number}/file" for number in range(directories)])
    embedded.clear_requests()
    assert _listed(session, "MLSD", f"/{folder}/implicit") == directories
    assert embedded.operations() == ["ListObjectsV2"] * math.ceil(directories / PAGE)


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("SIZE", lambda session, folder: session.size(f"{folder}/file"), ["HeadObject"]),
        ("MDTM", lambda session, folder: session.sendcmd(f"MDTM {folder}/file"), ["HeadObject"]),
        ("CWD", lambda session, folder: session.cwd(f"/{folder}"), ["ListObjectsV2"]),
        ("AVBL", lambda session, folder: session.sendcmd(f"AVBL /{folder}"), ["ListObjectsV2"]),
        ("STAT of a directory", lambda session, folder: session.sendcmd(f"STAT /{folder}"), ["ListObjectsV2"]),
        ("LIST -la", lambda session, folder: _listed(session, "LIST -la", f"/{folder}"), ["ListObjectsV2"]),
        ("MLST of a file", lambda session, folder: session.sendcmd(f"MLST {folder}/file"), ["HeadObject"]),
        (
            "MLST of a directory",
            lambda session, folder: session.sendcmd(f"MLST /{folder}"),
            ["HeadObject", "ListObjectsV2"],
        ),
        (
            "STAT of a file",
            lambda session, folder: session.sendcmd(f"STAT {folder}/file"),
            ["ListObjectsV2", "HeadObject"],
        ),
        ("LIST -d", lambda session, folder: _listed(session, "LIST -d", f"{folder}/file"), ["HeadObject"]),
    ],
)
def test_a_question_is_one_request_and_of_what_may_be_either_two(
    session: ftplib.FTP_TLS,
    embedded: EmbeddedBackend,
    folder: str,
    name: str,
    command: Callable[[ftplib.FTP_TLS, str], object],
    expected: list[str],
) -> None:
    embedded.put(f"{folder}/file", b"1")
    command(session, folder)
    assert embedded.operations() == expected, name


def test_making_and_removing_cost_at_most_two(session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str) -> None:
    embedded.put(f"{folder}/file", b"1")
    for command in (f"DELE {folder}/file", f"MKD {folder}/dir", f"RMD {folder}/dir"):
        embedded.clear_requests()
        session.voidcmd(command)
        assert len(embedded.operations()) <= 2, (command, embedded.operations())


@pytest.mark.parametrize("existing", [False, True], ids=["to a new name", "over an existing file"])
def test_renaming_a_file_is_three_requests(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, existing: bool
) -> None:
    embedded.put(f"{folder}/one", b"1")
    if existing:
        embedded.put(f"{folder}/two", b"2")
    session.rename(f"{folder}/one", f"{folder}/two")
    assert embedded.operations() == ["ListObjectsV2", "CopyObject", "DeleteObject"]
    assert embedded.read(f"{folder}/two") == b"1"


def test_storing_under_a_new_name_is_one_put(session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str) -> None:
    session.storbinary(f"STOU {folder}/file", io.BytesIO(b"1"))
    assert embedded.operations() == ["PutObject"]


@pytest.mark.parametrize("command", ["NLST", "LIST", "LIST -l"])
def test_a_pattern_is_one_request_and_the_pages_of_its_beginning(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, command: str
) -> None:
    embedded.put_many(
        [f"{folder}/a{number}" for number in range(PAGE)] + [f"{folder}/b{number}" for number in range(30)]
    )
    embedded.clear_requests()
    assert _listed(session, command, f"/{folder}/b*1") == 3
    assert embedded.operations() == ["ListObjectsV2"] * 2


def test_listing_a_tree_is_one_request_a_directory(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
) -> None:
    embedded.put_many([f"{folder}/a/b/{number}" for number in range(PAGE)] + [f"{folder}/c/d"])
    embedded.clear_requests()
    assert _listed(session, "NLST -R", f"/{folder}") == PAGE + 4
    assert embedded.operations() == ["ListObjectsV2"] * 4


@pytest.mark.parametrize("objects", [1, PAGE, PAGE + 1])
def test_removing_a_tree_is_two_requests_a_page(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, objects: int
) -> None:
    embedded.put_many([f"{folder}/tree/{number}/file" for number in range(objects)])
    embedded.clear_requests()
    session.voidcmd(f"RMDA /{folder}/tree")
    operations = embedded.operations()
    assert operations.count("ListObjectsV2") == math.ceil(objects / PAGE)
    assert len(operations) == 2 * math.ceil(objects / PAGE)
    assert _listed(session, "NLST", f"/{folder}") == 0


def test_what_asks_s3_nothing(session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str) -> None:
    for command in (
        *("AVBL", "ACCT x", "LANG EN", "STAT", "SITE HELP", f"SITE CHMOD 644 {folder}/file", "HELP", "NOOP", "SYST"),
        *("FEAT", "CLNT x", "OPTS UTF8 ON", "OPTS MLST size;", "OPTS HASH SHA-256", "OPTS REST STOR", "CDUP", "ABOR"),
        *("TYPE A", "MODE S", "STRU F", "ALLO 5", "PASV", "EPSV", "PBSZ 0", "PROT P"),
    ):
        session.voidcmd(command)
    session.sendcmd("REST 5")
    # HOST comes before the login; these are refused in TLS, and these are off.
    for command in (
        "HOST x",
        "CCC",
        "REIN",
        "PORT 127,0,0,1,4,1",
        "EPRT |1|127.0.0.1|1025|",
        "MFMT x",
        "MFF x",
        "SMNT x",
    ):
        with pytest.raises(ftplib.error_perm):
            session.voidcmd(command)
    assert embedded.operations() == []


@pytest.mark.parametrize("command", ["HASH", "XSHA256"])
def test_a_hash_is_one_request(session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, command: str) -> None:
    store(session, f"{folder}/file", b"1")
    embedded.clear_requests()
    assert hashlib.sha256(b"1").hexdigest() in session.sendcmd(f"{command} {folder}/file")
    assert embedded.operations() == ["HeadObject"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("copy", ["ListObjectsV2", "CopyObject"]),
        ("dir/copy", ["ListObjectsV2", "ListObjectsV2", "CopyObject"]),
    ],
)
def test_copying_a_file_is_two_or_three_requests(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, target: str, expected: list[str]
) -> None:
    embedded.put_many([f"{folder}/dir/another"])
    embedded.put(f"{folder}/file", b"1")
    session.sendcmd(f"SITE CPFR {folder}/file")
    session.voidcmd(f"SITE CPTO {folder}/{target}")
    assert embedded.operations() == expected
    assert embedded.read(f"{folder}/{target}") == b"1"


def test_storing_a_file_under_another_name_and_renaming_it_is_four_requests(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
) -> None:
    """To any directory, of any size."""
    embedded.put_many([f"{folder}/final/{number}" for number in range(300)])
    embedded.clear_requests()
    store(session, f"{folder}/temporary/one", b"1")
    session.rename(f"{folder}/temporary/one", f"{folder}/final/two")
    assert embedded.operations() == ["PutObject", "ListObjectsV2", "CopyObject", "DeleteObject"]


def test_renaming_a_directory_is_a_copy_for_each_file_and_a_few_requests(
    session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
) -> None:
    embedded.put_many([f"{folder}/old/{number}" for number in range(50)])
    embedded.clear_requests()
    session.rename(f"{folder}/old", f"{folder}/new")
    operations = embedded.operations()
    assert operations.count("CopyObject") == 50
    assert operations.count("DeleteObjects") == 1
    assert operations.count("ListObjectsV2") == len(operations) - 51 == 5
