"""Times that clients give to files, on the whole daemon: what is kept, what it costs, what other programs read."""

from __future__ import annotations

import contextlib
import ftplib
import re
from collections.abc import Iterator

import pytest

from tests.support.backends import Backend, EmbeddedBackend
from tests.support.clients import connect, store
from tests.support.daemon import Daemon

OLD = "20200913122640"
OLD_SECONDS = 1_600_000_000
MIB = 1024 * 1024

CROWD = 1001
"""Entries of a directory that takes two pages of a listing."""


@pytest.fixture(scope="module")
def keeping(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that keeps clients' times."""
    environment = {**backend.environment, "AIOFTPS3_TIMES": "modified"}
    running = Daemon.start(tmp_path_factory.mktemp("keeping"), environment)
    try:
        yield running
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()


@pytest.fixture
def session(keeping: Daemon, backend: Backend, folder: str) -> Iterator[ftplib.FTP_TLS]:
    """A session at the clients' root."""
    with contextlib.closing(connect(keeping.access("explicit"))) as opened:
        opened.voidcmd("TYPE I")
        if isinstance(backend, EmbeddedBackend):
            backend.clear_requests()
        yield opened
        opened.quit()


def _mlsd(session: ftplib.FTP_TLS, path: str) -> dict[str, str]:
    """Names and times, none for what has none."""
    return {name: facts.get("modify", "") for name, facts in session.mlsd(path) if facts["type"] == "file"}


def _list(session: ftplib.FTP_TLS, path: str) -> list[str]:
    lines: list[str] = []
    session.retrlines(f"LIST {path}", lines.append)
    return lines


@pytest.mark.parametrize("size", [0, 1000, 9 * MIB], ids=["empty", "one part", "parts"])
def test_a_time_stays_with_the_file_and_the_file_stays_what_it_was(
    session: ftplib.FTP_TLS, backend: Backend, folder: str, size: int
) -> None:
    """Copies onto themselves, with conditions on both sides, on every S3 of the tests."""
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    store(session, f"{folder}/file", content)
    assert session.voidcmd(f"MFMT {OLD} {folder}/file") == f"213 Modify={OLD}; {folder}/file"
    assert backend.read(f"{folder}/file") == content
    assert session.voidcmd(f"MDTM {folder}/file") == f"213 {OLD}"
    assert _mlsd(session, folder) == {"file": OLD}
    assert _list(session, folder)[0].endswith("Sep 13  2020 file")
    session.rename(f"{folder}/file", f"{folder}/renamed")
    assert _mlsd(session, folder) == {"renamed": OLD}
    session.voidcmd(f"MFMT 20210101000000 {folder}/renamed")
    assert _mlsd(session, folder) == {"renamed": "20210101000000"}
    store(session, f"{folder}/renamed", b"new")
    assert _mlsd(session, folder)["renamed"] > "2026"


def test_a_daemon_that_starts_later_knows_the_times(
    session: ftplib.FTP_TLS, backend: Backend, folder: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store(session, f"{folder}/file", b"content")
    session.voidcmd(f"MFMT {OLD} {folder}/file")
    environment = {**backend.environment, "AIOFTPS3_TIMES": "modified"}
    later = Daemon.start(tmp_path_factory.mktemp("later"), environment)
    try:
        with contextlib.closing(connect(later.access("explicit"))) as other:
            assert _mlsd(other, folder) == {"file": OLD}
            other.quit()
        assert later.stop() == 0
    finally:
        later.kill()


def test_a_daemon_that_shows_times_of_uploads_shows_none_of_the_clients(
    session: ftplib.FTP_TLS, daemon: Daemon, folder: str
) -> None:
    store(session, f"{folder}/file", b"content")
    session.voidcmd(f"MFMT {OLD} {folder}/file")
    with contextlib.closing(connect(daemon.access("explicit"))) as other:
        assert _mlsd(other, folder)["file"] > "2026"
        assert not re.search(r"^ (MFMT|MFF)", other.sendcmd("FEAT"), re.MULTILINE)
        with pytest.raises(ftplib.error_perm, match=r"^502 "):
            other.sendcmd(f"MFMT {OLD} {folder}/file")
        with pytest.raises(ftplib.error_perm, match=r"^550 "):
            other.sendcmd(f"MDTM {OLD} {folder}/file")
        with pytest.raises(ftplib.error_perm, match=r"^504 "):
            other.sendcmd(f"SITE UTIME {OLD} {folder}/file")
        other.quit()


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
class TestRequests:
    """What it costs, counted on the embedded server."""

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            (f"MFMT {OLD} {{}}", ["HeadObject", "CopyObject"]),
            (f"MFF modify={OLD}; {{}}", ["HeadObject", "CopyObject"]),
            (f"SITE UTIME {OLD} {{}}", ["HeadObject", "CopyObject"]),
            (f"SITE UTIME {{}} {OLD} {OLD} {OLD} UTC", ["HeadObject", "CopyObject"]),
            (f"MDTM {OLD} {{}}", ["HeadObject", "HeadObject", "CopyObject"]),
            ("MDTM {}", ["HeadObject"]),
            ("MLST {}", ["HeadObject"]),
            ("SIZE {}", ["HeadObject"]),
            ("STAT {}", ["ListObjectsV2", "HeadObject"]),
        ],
    )
    def test_a_time_costs_two_requests_to_set_and_one_to_ask_for(
        self, session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str, command: str, expected: list[str]
    ) -> None:
        embedded.put(f"{folder}/file", b"1")
        session.sendcmd(command.format(f"{folder}/file"))
        assert embedded.operations() == expected

    def test_setting_the_time_that_a_file_has_copies_nothing(
        self, session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
    ) -> None:
        store(session, f"{folder}/file", b"1")
        session.voidcmd(f"MFMT {OLD} {folder}/file")
        embedded.clear_requests()
        session.voidcmd(f"MFMT {OLD} {folder}/file")
        assert embedded.operations() == ["HeadObject"]

    def test_what_was_stored_here_is_listed_without_being_asked_for(
        self, session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
    ) -> None:
        for name in ("a", "b", "c"):
            store(session, f"{folder}/{name}", b"1")
        session.voidcmd(f"MFMT {OLD} {folder}/b")
        session.rename(f"{folder}/b", f"{folder}/d")
        embedded.clear_requests()
        shown = _mlsd(session, folder)
        assert (shown["d"], set(shown)) == (OLD, {"a", "c", "d"})
        _list(session, folder)
        assert embedded.operations() == ["ListObjectsV2"] * 2

    def test_what_others_have_stored_is_asked_for_once_and_in_order(
        self, session: ftplib.FTP_TLS, embedded: EmbeddedBackend, folder: str
    ) -> None:
        names = [f"file {number:04}" for number in range(CROWD)]
        embedded.put_many([f"{folder}/{name}" for name in names], modified=1_600_000_000.0)
        embedded.clear_requests()
        session.nlst(folder)
        assert set(embedded.operations()) == {"ListObjectsV2"}
        embedded.clear_requests()
        assert list(_mlsd(session, folder)) == names
        assert embedded.operations().count("HeadObject") == CROWD
        embedded.clear_requests()
        assert len(_list(session, folder)) == CROWD
        assert embedded.operations().count("HeadObject") == 0
