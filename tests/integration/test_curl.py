"""curl against the daemon, over explicit and implicit TLS."""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import curl, needs_curl, url
from tests.support.daemon import Access, Daemon

pytestmark = needs_curl

MIB = 1024 * 1024
PART = 8 * MIB
"""AIOFTPS3_PART_SIZE's default: from here on a file is a multipart upload."""

NAMES = (
    "with two  blanks",
    "a+b%c&d#e?f",
    "100%25",
    'it\'s "quoted"',
    "é",
    "e\N{COMBINING ACUTE ACCENT}",
    "日本",
    "🙂",
    "-leading-dash",
    " leading blank",
    "trailing blank ",
    "back\\slash",
    "star*[1]{2}",
    "semi;colon=equals:colon,comma@at!",
    "~tilde$(dollar)`tick`<angle>|pipe^",
)


def _content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, PART - 1, PART, PART + 1])
def test_a_file_of_any_size_comes_back_as_it_was_sent(
    access: Access, backend: Backend, folder: str, tmp_path: Path, size: int
) -> None:
    content = _content(size)
    (tmp_path / "up").write_bytes(content)
    curl(access, "--upload-file", tmp_path / "up", url(access, f"{folder}/file"))
    curl(access, "--output", tmp_path / "down", url(access, f"{folder}/file"))
    assert _sha256(backend.read(f"{folder}/file")) == _sha256(content)
    down = (tmp_path / "down").read_bytes() if size else b""  # curl makes no file when there are no bytes
    assert _sha256(down) == _sha256(content)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_becomes_the_key_byte_for_byte(
    access: Access, backend: Backend, folder: str, tmp_path: Path, name: str
) -> None:
    content = name.encode()
    (tmp_path / "up").write_bytes(content)
    curl(access, "--upload-file", tmp_path / "up", url(access, f"{folder}/{name}"))
    assert backend.sizes(folder) == {f"{folder}/": 0, f"{folder}/{name}": len(content)}
    assert curl(access, url(access, f"{folder}/{name}")).stdout == content
    assert curl(access, "--list-only", url(access, f"{folder}/")).stdout.decode() == f"{name}\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_of_any_name_is_entered_and_holds_files(
    access: Access, backend: Backend, folder: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "up").write_bytes(b"x")
    target = url(access, f"{folder}/{name}/{name}/file")
    curl(access, "--ftp-create-dirs", "--upload-file", tmp_path / "up", target)
    assert backend.sizes(f"{folder}/{name}") == {
        f"{folder}/{name}/": 0,
        f"{folder}/{name}/{name}/": 0,
        f"{folder}/{name}/{name}/file": 1,
    }
    assert curl(access, target).stdout == b"x"


def test_an_upload_replaces_the_file(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    backend.put(f"{folder}/file", b"old and longer")
    (tmp_path / "up").write_bytes(b"new")
    curl(access, "--upload-file", tmp_path / "up", url(access, f"{folder}/file"))
    assert backend.read(f"{folder}/file") == b"new"


def test_an_interrupted_download_is_resumed(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    content = _content(2 * MIB)
    backend.put(f"{folder}/file", content)
    (tmp_path / "down").write_bytes(content[:1_000_003])
    curl(access, "--continue-at", "-", "--output", tmp_path / "down", url(access, f"{folder}/file"))
    assert (tmp_path / "down").read_bytes() == content


@pytest.mark.parametrize(("first", "last"), [(0, 99), (4_000_000, 4_000_009)])
def test_a_range_is_read_and_the_session_goes_on(
    access: Access, backend: Backend, folder: str, tmp_path: Path, first: int, last: int
) -> None:
    contents = {"one": _content(5 * MIB), "two": _content(5 * MIB + 1)}
    arguments: list[str | Path] = ["--range", f"{first}-{last}"]
    for name, content in contents.items():
        backend.put(f"{folder}/{name}", content)
        arguments += ["--output", tmp_path / name, url(access, f"{folder}/{name}")]
    curl(access, *arguments)
    for name, content in contents.items():
        assert (tmp_path / name).read_bytes() == content[first : last + 1]


def test_the_end_of_a_file_is_read_by_a_negative_range(access: Access, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"0123456789")
    assert curl(access, "--range", "-3", url(access, f"{folder}/file")).stdout == b"789"


def test_a_directory_is_listed(access: Access, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/a file", b"12345")
    backend.put(f"{folder}/dir/below", b"1")
    lines = curl(access, url(access, f"{folder}/")).stdout.decode().splitlines()
    when = r"[A-Z][a-z]{2} [ \d]\d (\d\d:\d\d| \d{4})"
    assert re.fullmatch(rf"-rw-r--r-- +1 ftp +ftp +5 {when} a file", lines[0])
    assert re.fullmatch(rf"drwxr-xr-x +2 ftp +ftp +0 {when} dir", lines[1])
    assert len(lines) == 2


def test_an_empty_directory_is_listed_as_empty(access: Access, folder: str) -> None:
    assert curl(access, url(access, f"{folder}/")).stdout == b""


def test_size_and_time_are_shown_without_a_transfer(access: Access, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"12345")
    shown = curl(access, "--head", url(access, f"{folder}/file")).stdout.decode()
    assert re.search(r"^Last-Modified: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", shown, re.MULTILINE)
    assert "Content-Length: 5" in shown
    assert "Accept-ranges: bytes" in shown


def test_quoted_commands_make_rename_and_remove(access: Access, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/one", b"1")
    backend.put(f"{folder}/two", b"2")
    here = url(access, "")

    def quoted(*commands: str) -> None:
        curl(access, "--list-only", here, *(word for command in commands for word in ("--quote", command)))

    quoted(f"MKD {folder}/made", f"MKD {folder}/removed")
    quoted(f"DELE {folder}/one", f"RNFR {folder}/two", f"RNTO {folder}/made/three", f"RMD {folder}/removed")
    assert backend.sizes(folder) == {f"{folder}/": 0, f"{folder}/made/": 0, f"{folder}/made/three": 1}


def test_a_missing_file_is_an_error_of_its_own(access: Access, folder: str) -> None:
    remote_file_not_found = 78
    curl(access, url(access, f"{folder}/missing"), exit_code=remote_file_not_found)


def test_a_wrong_password_is_refused(access: Access) -> None:
    login_denied = 67
    curl(access, "--user", f"{access.login}:wrong", url(access, ""), exit_code=login_denied)


def test_a_login_in_clear_text_is_refused(daemon: Daemon) -> None:
    access = daemon.access("explicit")
    login_denied = 67
    refused = curl(access, "--no-ssl-reqd", url(access, ""), exit_code=login_denied)
    assert b"534" in refused.stderr
