"""Python's ftplib against the daemon: every call that it has, over explicit and implicit TLS."""

from __future__ import annotations

import contextlib
import ftplib
import io
import random
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.backends import Backend
from tests.support.clients import connect, read, store
from tests.support.daemon import Access

MIB = 1024 * 1024


def _refused(code: int, act: Callable[[], object]) -> str:
    """The reply to something that is refused with this code."""
    with pytest.raises(ftplib.Error) as caught:
        act()
    reply = str(caught.value)
    assert reply[:3] == str(code), reply
    return reply


def test_storbinary_and_retrbinary_move_bytes(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    content = random.Random(1).randbytes(3 * MIB + 1)
    assert ftp.storbinary("STOR file", io.BytesIO(content)).startswith("226 ")
    assert backend.read(f"{folder}/file") == content
    assert read(ftp, "file") == content


@pytest.mark.parametrize("rest", [0, 1, 70_000, MIB - 1, MIB])
def test_retrbinary_begins_at_rest(ftp: ftplib.FTP_TLS, backend: Backend, folder: str, rest: int) -> None:
    content = random.Random(2).randbytes(MIB)
    backend.put(f"{folder}/file", content)
    assert read(ftp, "file", rest=rest) == content[rest:]
    assert read(ftp, "file") == content, "REST is for one transfer"


def test_rest_past_the_end_is_refused(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"12345")
    _refused(554, lambda: read(ftp, "file", rest=6))
    assert read(ftp, "file") == b"12345"


def test_storlines_and_retrlines_move_lines(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    ftp.storlines("STOR text", io.BytesIO("one\ntwo é\n\nfour".encode()))
    assert backend.read(f"{folder}/text") == "one\r\ntwo é\r\n\r\nfour\r\n".encode()
    lines: list[str] = []
    ftp.retrlines("RETR text", lines.append)
    assert lines == ["one", "two é", "", "four"]


def test_all_listings_show_files_and_directories(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/a file", b"123")
    backend.put(f"{folder}/é", b"")
    backend.put(f"{folder}/implicit/file", b"")
    backend.put(f"{folder}/made/")
    names = ["a file", "implicit", "made", "é"]
    assert ftp.nlst() == names
    assert ftp.nlst(f"/{folder}") == names
    lines: list[str] = []
    ftp.dir(lines.append)
    assert [line[0] for line in lines] == ["-", "d", "d", "-"]
    assert [line.split(maxsplit=8)[8] for line in lines] == names
    facts = dict(ftp.mlsd())
    assert [facts[name]["type"] for name in names] == ["file", "dir", "dir", "file"]
    assert facts["a file"]["size"] == "3"
    assert re.fullmatch(r"\d{14}", facts["a file"]["modify"])
    assert dict(ftp.mlsd(facts=["type"])) == {name: {"type": facts[name]["type"]} for name in names}


@pytest.mark.parametrize("pattern", [".*", "./.*", ".?idden", "*/"])
def test_hidden_files_are_found_by_a_pattern(ftp: ftplib.FTP_TLS, backend: Backend, folder: str, pattern: str) -> None:
    """MinIO refuses listings whose prefix ends in the name `.`."""
    backend.put(f"{folder}/.hidden", b"")
    backend.put(f"{folder}/visible/file", b"")
    assert [name.removeprefix("./") for name in ftp.nlst(pattern)] == ["visible" if pattern == "*/" else ".hidden"]


def test_lists_of_an_empty_directory_are_empty(ftp: ftplib.FTP_TLS) -> None:
    lines: list[str] = []
    ftp.dir(lines.append)
    assert (lines, ftp.nlst(), list(ftp.mlsd())) == ([], [], [])


def test_what_is_missing_cannot_be_listed_read_or_removed(ftp: ftplib.FTP_TLS) -> None:
    for act in (
        lambda: ftp.nlst("missing"),
        lambda: ftp.dir("missing"),
        lambda: list(ftp.mlsd("missing")),
        lambda: read(ftp, "missing"),
        lambda: ftp.size("missing"),
        lambda: ftp.sendcmd("MDTM missing"),
        lambda: ftp.delete("missing"),
        lambda: ftp.rmd("missing"),
        lambda: ftp.cwd("missing"),
        lambda: ftp.rename("missing", "other"),
    ):
        _refused(550, act)
    ftp.voidcmd("NOOP")


def test_size_and_time_of_a_file(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"12345")
    assert ftp.size("file") == 5
    assert re.fullmatch(r"213 \d{14}", ftp.sendcmd("MDTM file"))
    _refused(550, lambda: ftp.size("."))


def test_a_file_is_renamed_and_replaces_another(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/one", b"1")
    backend.put(f"{folder}/two", b"22")
    ftp.rename("one", "renamed")
    ftp.rename("renamed", "two")
    assert backend.sizes(folder) == {f"{folder}/": 0, f"{folder}/two": 1}
    assert backend.read(f"{folder}/two") == b"1"


@pytest.mark.parametrize("name", ["a+b", "100% sure", "caf\u00e9 \U0001f600", "a?b#c&d=e", '"quoted"', "%2F%00", "x;y"])
def test_files_and_directories_of_odd_names_are_renamed(
    ftp: ftplib.FTP_TLS, backend: Backend, folder: str, name: str
) -> None:
    """P6."""
    backend.put(f"{folder}/{name}", b"1")
    backend.put(f"{folder}/dir {name}/{name}", b"22")
    ftp.rename(name, f"{name} new")
    ftp.rename(f"dir {name}", f"dir {name} new")
    assert backend.read(f"{folder}/{name} new") == b"1"
    assert backend.read(f"{folder}/dir {name} new/{name}") == b"22"
    assert {key for key in backend.sizes(folder) if name in key} == {
        f"{folder}/{name} new",
        f"{folder}/dir {name} new/{name}",
    }


def test_a_directory_is_renamed_with_all_below(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    for name in ("dir/", "dir/file", "dir/sub/deep", "dir/empty/"):
        backend.put(f"{folder}/{name}", name.encode() if name[-1] != "/" else b"")
    ftp.rename("dir", "moved")
    found = set(backend.sizes(folder))
    assert found == {f"{folder}/{name}" for name in ("", "moved/", "moved/file", "moved/sub/deep", "moved/empty/")}
    assert backend.read(f"{folder}/moved/sub/deep") == b"dir/sub/deep"


def test_a_directory_is_made_entered_and_removed(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    assert ftp.mkd("dir") == f"/{folder}/dir"
    assert backend.sizes(folder) == {f"{folder}/": 0, f"{folder}/dir/": 0}
    ftp.cwd("dir")
    assert ftp.pwd() == f"/{folder}/dir"
    store(ftp, "file", b"1")
    ftp.cwd("..")
    assert ftp.pwd() == f"/{folder}"
    _refused(550, lambda: ftp.mkd("dir"))
    _refused(550, lambda: ftp.rmd("dir"))
    _refused(550, lambda: ftp.delete("dir"))
    _refused(550, lambda: ftp.rmd("dir/file"))
    ftp.delete("dir/file")
    ftp.rmd("dir")
    assert backend.sizes(folder) == {f"{folder}/": 0}


def test_a_directory_that_was_emptied_stays(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/implicit/file", b"1")
    ftp.delete("implicit/file")
    ftp.cwd("implicit")
    assert ftp.nlst() == []
    ftp.cwd("..")
    ftp.rmd("implicit")


def test_names_with_quotes_are_doubled_and_come_back(ftp: ftplib.FTP_TLS, folder: str) -> None:
    assert ftp.mkd('a "quoted" name') == f'/{folder}/a "quoted" name'
    ftp.cwd('a "quoted" name')
    assert ftp.pwd() == f'/{folder}/a "quoted" name'


@pytest.mark.parametrize("argument", ["../../../../etc", "/../..", "./../../."])
def test_there_is_nothing_above_the_root(ftp: ftplib.FTP_TLS, argument: str) -> None:
    with contextlib.suppress(ftplib.error_perm):
        ftp.cwd(argument)
    assert "etc" not in ftp.pwd()
    ftp.cwd("/")
    assert ftp.pwd() == "/"


def test_an_upload_is_aborted_and_the_session_goes_on(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"old")
    ftp.voidcmd("TYPE I")
    with ftp.transfercmd("STOR file") as data:
        data.sendall(bytes(9 * MIB))
        assert ftp.abort().startswith("426 ")
        assert ftp.voidresp().startswith("226 ")
    assert backend.read(f"{folder}/file") == b"old"
    assert backend.uploads(f"{folder}/file") == 0
    store(ftp, "file", b"new")
    assert read(ftp, "file") == b"new"


def test_a_download_is_aborted_and_the_session_goes_on(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", bytes(20 * MIB))
    ftp.voidcmd("TYPE I")
    with ftp.transfercmd("RETR file") as data:
        data.recv(1000)
        assert ftp.abort().startswith("426 ")
        assert ftp.voidresp().startswith("226 ")
    assert ftp.size("file") == 20 * MIB
    assert len(read(ftp, "file")) == 20 * MIB


def test_a_download_that_the_client_closes_early_costs_nothing(
    ftp: ftplib.FTP_TLS, backend: Backend, folder: str
) -> None:
    backend.put(f"{folder}/file", bytes(20 * MIB))
    ftp.voidcmd("TYPE I")
    with ftp.transfercmd("RETR file") as data:
        data.recv(1000)
    _refused(426, ftp.voidresp)
    assert ftp.size("file") == 20 * MIB


def test_abort_without_a_transfer_is_answered(ftp: ftplib.FTP_TLS) -> None:
    assert ftp.abort().startswith("226 ")


def test_facts_about_the_server_are_told(ftp: ftplib.FTP_TLS, folder: str) -> None:
    assert ftp.welcome is not None
    assert ftp.welcome.startswith("220 ")
    features = ftp.sendcmd("FEAT").splitlines()
    assert features[0].startswith("211-")
    assert features[-1].startswith("211 ")
    assert {" AUTH TLS", " PBSZ", " PROT", " UTF8", " SIZE", " MDTM", " EPSV", " REST STREAM", " TVFS"} <= set(features)
    assert any(line.startswith(" MLST type*;size*;modify*;") for line in features)
    assert ftp.sendcmd("SYST").startswith("215 UNIX")
    assert ftp.sendcmd("HELP").startswith("214")
    assert ftp.sendcmd("HELP STOR").startswith("214 ")
    assert ftp.sendcmd("SITE HELP").startswith("214")
    assert f"/{folder}" in ftp.sendcmd("STAT")
    assert ftp.sendcmd("OPTS UTF8 ON").startswith("200 ")
    assert ftp.sendcmd("OPTS MLST type;size;").startswith("200 ")
    for command in ("NOOP", "TYPE I", "TYPE A", "MODE S", "STRU F", "ALLO 100"):
        assert ftp.voidcmd(command).startswith("200 ")


def test_what_is_not_known_is_refused_and_the_session_goes_on(ftp: ftplib.FTP_TLS) -> None:
    _refused(502, lambda: ftp.sendcmd("NONSENSE"))
    _refused(501, lambda: ftp.sendcmd("RETR"))
    _refused(503, lambda: ftp.sendcmd("RNTO x"))
    _refused(500, lambda: ftp.sendcmd("X" * 5000))
    _refused(553, lambda: store(ftp, "x" * 1100, b""))
    ftp.voidcmd("NOOP")


def test_a_path_is_shown_by_stat_and_mlst(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"12345")
    assert "file" in ftp.sendcmd("STAT file")
    assert "file" in ftp.sendcmd(f"STAT /{folder}")
    assert re.search(rf"^ type=file;size=5;modify=\d{{14}};\S* /{folder}/file$", ftp.sendcmd("MLST file"), re.MULTILINE)


def test_two_sessions_store_the_same_path_and_one_of_them_is_whole(
    access: Access, backend: Backend, folder: str
) -> None:
    contents = [bytes([number]) * (9 * MIB) for number in (1, 2)]
    begin = threading.Barrier(len(contents))

    def upload(content: bytes) -> None:
        with contextlib.closing(connect(access)) as session:
            begin.wait(20)
            store(session, f"{folder}/file", content)

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(upload, contents))
    assert backend.read(f"{folder}/file") in contents
    assert backend.uploads(f"{folder}/file") == 0


def test_a_reader_gets_the_whole_old_file_while_it_is_replaced(access: Access, backend: Backend, folder: str) -> None:
    old, new = b"o" * (9 * MIB), b"n" * MIB
    backend.put(f"{folder}/file", old)
    with contextlib.closing(connect(access)) as reader, contextlib.closing(connect(access)) as writer:
        reader.voidcmd("TYPE I")
        with reader.transfercmd(f"RETR {folder}/file") as data:
            received = [data.recv(1000)]
            store(writer, f"{folder}/file", new)
            while chunk := data.recv(256 * 1024):
                received.append(chunk)
        reader.voidresp()
        assert b"".join(received) == old
        assert read(reader, f"{folder}/file") == new


def test_eight_sessions_upload_at_the_same_time(access: Access, backend: Backend, folder: str) -> None:
    contents = {f"{folder}/file {number}": random.Random(number).randbytes(9 * MIB + number) for number in range(8)}
    begin = threading.Barrier(len(contents))

    def upload(item: tuple[str, bytes]) -> None:
        with contextlib.closing(connect(access)) as session:
            begin.wait(20)
            store(session, *item)
            session.quit()

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(upload, contents.items()))
    for path, content in contents.items():
        assert backend.read(path) == content
