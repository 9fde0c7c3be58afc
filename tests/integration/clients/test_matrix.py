"""What every client does, on the whole daemon: the rows of docs/clients.md.

Each test is a cell, or a column of them, and runs for each client of `--clients` that is installed and can do it. What
an operation took on the wire is compared with what its driver declares, so that no client hides a failed attempt.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.integration.clients.cells import NAMES, SIZES
from tests.integration.clients.client import Client, ClientFailed
from tests.integration.clients.scene import Scene

OLD = 1_600_000_000
"""September 2020: a time that is older than the tests, and older than LIST shows with hours and minutes."""

SMALL = b"a small file\n"

TREE = {"one": b"1", "two words": b"22", "below/three": b"333", "below/deeper/four": b""}
FILES_IN_TREE = len(TREE)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _round_trip(scene: Scene) -> None:
    content = scene.content(SIZES["1 MiB"])
    _put(scene, content, "file")
    assert _sha256(scene.read("file")) == _sha256(content.read_bytes())
    scene.do("get", f"{scene.folder}/file", scene.local / "back")
    assert _sha256((scene.local / "back").read_bytes()) == _sha256(content.read_bytes())
    _see(scene, scene.folder, ["file"])


def _see(scene: Scene, directory: str, names: Sequence[str], *, files: Sequence[str] | None = None) -> None:
    """Check that the client sees these names in a directory, and no others; `files` are those of files."""
    if scene.client.lists:
        assert sorted(scene.do("list", directory)) == sorted(names)
        return
    files = sorted(names if files is None else files)
    scene.do("find", directory, files[:1] + files[1:][-1:])
    assert scene.meter.now().count("MDTM", "SIZE") == 0, "it did not find them in the listing"


def _put(scene: Scene, local: Path, name: str) -> None:
    """Upload, where the client can."""
    if scene.client.downloads_only:
        scene.backend.put(f"{scene.folder}/{name}", local.read_bytes())
    else:
        scene.do("put", local, f"{scene.folder}/{name}")


def _look(client: Client, directory: str) -> None:
    if client.lists:
        client.list(directory)
    else:
        client.find(directory, [])


@pytest.mark.cell("refused in clear")
def test_a_password_in_clear_text_gets_nobody_in(scene: Scene) -> None:
    with pytest.raises(ClientFailed):
        _look(scene.in_clear(), scene.folder)
    replies = {code for code, _ in scene.meter.end().replies}
    assert 534 in replies
    assert 230 not in replies


@pytest.mark.cell("explicit TLS", mode="explicit")
def test_explicit_tls_takes_files_and_listings(scene: Scene) -> None:
    _round_trip(scene)
    assert scene.meter.now().count("AUTH") >= 1


@pytest.mark.cell("implicit TLS", mode="implicit")
def test_implicit_tls_takes_files_and_listings(scene: Scene) -> None:
    _round_trip(scene)
    assert scene.meter.now().count("AUTH") == 0


@pytest.mark.cell("clear", mode="clear")
def test_clear_text_takes_files_and_listings_where_it_is_allowed(scene: Scene) -> None:
    _round_trip(scene)


@pytest.mark.cell("data resumes TLS", mode="explicit")
def test_data_connections_of_a_session_resume_its_tls_session_as_the_client_does(scene: Scene) -> None:
    files = {name: SMALL * number for number, name in enumerate(("one", "two", "three"))}
    (scene.local / "back").mkdir()
    sent = {path: f"{scene.folder}/{path.name}" for path in _write(scene.local / "sent", files).iterdir()}
    if scene.client.downloads_only:
        for path, remote in sent.items():
            scene.backend.put(remote, path.read_bytes())
    scene.do("session", sent, scene.folder, scene.local / "back")
    assert scene.stored() == _files(scene.local / "back") == files
    traffic = scene.meter.end()
    assert traffic.count("STOR") == (0 if scene.client.downloads_only else len(files))
    scene.check_resumption(traffic)


@pytest.mark.cell("list empty")
def test_an_empty_directory_is_empty(scene: Scene) -> None:
    _see(scene, scene.folder, [])


@pytest.mark.cell("list files")
def test_a_directory_shows_its_files_and_directories(scene: Scene) -> None:
    for name in ("a file", "b", "dir/", "implicit/below"):
        scene.backend.put(f"{scene.folder}/{name}", b"" if name.endswith("/") else b"12345")
    _see(scene, scene.folder, ["a file", "b", "dir", "implicit"], files=["a file", "b"])


@pytest.mark.cell("list 2,500")
def test_a_directory_of_2500_files_shows_all(scene: Scene, crowd: list[str]) -> None:
    _see(scene, crowd[0], crowd[1:])


@pytest.mark.cell(*(f"put {size}" for size in SIZES))
def test_a_file_is_stored_as_it_was_sent(scene: Scene) -> None:
    content = scene.content(SIZES[scene.cell.name.removeprefix("put ")])
    scene.do("put", content, f"{scene.folder}/file")
    assert _sha256(scene.read("file")) == _sha256(content.read_bytes())


@pytest.mark.cell(*(f"get {size}" for size in SIZES))
def test_a_file_comes_as_it_is_stored(scene: Scene) -> None:
    content = scene.content(SIZES[scene.cell.name.removeprefix("get ")]).read_bytes()
    scene.backend.put(f"{scene.folder}/file", content)
    scene.do("get", f"{scene.folder}/file", scene.local / "down")
    assert _sha256((scene.local / "down").read_bytes()) == _sha256(content)


@pytest.mark.cell("resume get")
def test_a_download_goes_on_where_it_was_cut(scene: Scene) -> None:
    content = scene.content(SIZES["2,000,000 B"]).read_bytes()
    scene.backend.put(f"{scene.folder}/file", content)
    (scene.local / "file").write_bytes(content[:1_234_567])
    scene.do("resume_get", f"{scene.folder}/file", scene.local / "file")
    assert _sha256((scene.local / "file").read_bytes()) == _sha256(content)
    assert ("REST", "1234567") in scene.meter.now().commands


@pytest.mark.cell("resume put")
def test_an_upload_goes_on_where_it_was_cut(scene: Scene) -> None:
    content = scene.content(SIZES["2,000,000 B"])
    scene.backend.put(f"{scene.folder}/file", content.read_bytes()[:1_234_567])
    scene.do("resume_put", content, f"{scene.folder}/file")
    assert _sha256(scene.read("file")) == _sha256(content.read_bytes())
    sent = scene.meter.now()
    assert ("REST", "1234567") in sent.commands or sent.count("APPE")


@pytest.mark.cell("append")
def test_what_is_appended_stands_behind_what_was_there(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/file", SMALL)
    content = scene.content(SIZES["1 MiB"])
    scene.do("append", content, f"{scene.folder}/file")
    assert _sha256(scene.read("file")) == _sha256(SMALL + content.read_bytes())


@pytest.mark.cell("rename")
def test_a_file_is_renamed(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/old", SMALL)
    scene.do("rename", f"{scene.folder}/old", f"{scene.folder}/new")
    assert scene.stored() == {"new": SMALL}


@pytest.mark.cell("rename over")
def test_a_renamed_file_replaces_another(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/old", SMALL)
    scene.backend.put(f"{scene.folder}/new", b"replaced")
    scene.do("rename", f"{scene.folder}/old", f"{scene.folder}/new")
    assert scene.stored() == {"new": SMALL}


@pytest.mark.cell("mkdir")
def test_a_directory_is_made(scene: Scene) -> None:
    scene.do("make_directory", f"{scene.folder}/made here")
    assert f"{scene.folder}/made here/" in scene.backend.sizes(scene.folder)


@pytest.mark.cell("mkdir again")
def test_a_directory_that_is_there_already_exists(scene: Scene) -> None:
    """FileZilla loses files unless the reply says so in these words; some clients look first, or take it for done."""
    scene.backend.put(f"{scene.folder}/dir/")
    with contextlib.suppress(ClientFailed):
        scene.client.make_directory(f"{scene.folder}/dir")
    did = scene.meter.end()
    if did.count("MKD", "XMKD"):
        assert any(code == 550 and "already exists" in text for code, text in did.replies)
    assert set(scene.backend.sizes(scene.folder)) == {f"{scene.folder}/", f"{scene.folder}/dir/"}


@pytest.mark.cell("rmdir")
def test_an_empty_directory_is_removed(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/dir/")
    scene.do("remove_directory", f"{scene.folder}/dir")
    assert set(scene.backend.sizes(scene.folder)) == {f"{scene.folder}/"}


@pytest.mark.cell("delete")
def test_a_file_is_deleted(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/gone", SMALL)
    scene.backend.put(f"{scene.folder}/kept", SMALL)
    scene.do("delete", f"{scene.folder}/gone")
    assert scene.stored() == {"kept": SMALL}


@pytest.mark.cell(*(f"name: {kind}" for kind in NAMES))
def test_a_name_is_kept_byte_for_byte(scene: Scene) -> None:
    name = NAMES[scene.cell.name.removeprefix("name: ")]
    (scene.local / "up").write_bytes(name.encode())
    _put(scene, scene.local / "up", name)
    assert scene.stored() == {name: name.encode()}
    _see(scene, scene.folder, [name])
    scene.do("get", f"{scene.folder}/{name}", scene.local / "down")
    assert (scene.local / "down").read_bytes() == name.encode()


@pytest.mark.cell("time down")
def test_the_time_of_a_file_is_told(scene: Scene) -> None:
    scene.embedded.put_old(f"{scene.folder}/file", SMALL, OLD)
    told = scene.do("get_time", f"{scene.folder}/file", scene.local / "file")
    assert OLD - OLD % scene.client.time_precision == told - told % scene.client.time_precision


@pytest.mark.cell("time up", times="modified")
def test_a_file_keeps_the_clients_time(scene: Scene) -> None:
    (scene.local / "file").write_bytes(SMALL)
    os.utime(scene.local / "file", (OLD, OLD))
    scene.do("put_time", scene.local / "file", f"{scene.folder}/file")
    with scene.watcher() as ftp:
        assert ftp.voidcmd(f"MDTM {scene.folder}/file") == "213 20200913122640"


@pytest.mark.cell("abort get")
def test_an_aborted_download_leaves_a_working_session(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/large", scene.content(SIZES["40 MiB"]).read_bytes())
    scene.backend.put(f"{scene.folder}/small", SMALL)
    scene.do("abort_get", f"{scene.folder}/large", f"{scene.folder}/small", scene.local / "small")
    assert (scene.local / "small").read_bytes() == SMALL
    assert 426 in {code for code, _ in scene.meter.now().replies}


@pytest.mark.cell("abort put")
def test_an_aborted_upload_stores_nothing_and_leaves_a_working_session(scene: Scene) -> None:
    scene.backend.put(f"{scene.folder}/large", b"as it was")
    (scene.local / "small").write_bytes(SMALL)
    large, small = f"{scene.folder}/large", f"{scene.folder}/small"
    scene.do("abort_put", scene.content(SIZES["40 MiB"]), large, scene.local / "small", small)
    assert scene.stored() == {"large": b"as it was", "small": SMALL}
    assert scene.backend.uploads(large) == 0
    assert 426 in {code for code, _ in scene.meter.now().replies}


def _mirrored_up(scene: Scene) -> Callable[[], None]:
    tree = _write(scene.local / "tree", TREE)
    scene.backend.put(f"{scene.folder}/tree/")
    scene.do("mirror_up", tree, f"{scene.folder}/tree")
    stored = {path: data for path, data in scene.stored().items() if not path.endswith("/")}
    assert stored == {f"tree/{name}": content for name, content in TREE.items()}
    assert scene.meter.end().count("STOR") == FILES_IN_TREE
    return lambda: scene.do("mirror_up", tree, f"{scene.folder}/tree")


@pytest.mark.cell("mirror up")
def test_a_tree_goes_up(scene: Scene) -> None:
    _mirrored_up(scene)


@pytest.mark.cell("mirror up again")
def test_a_tree_that_is_there_is_not_sent_again(scene: Scene) -> None:
    _mirrored_up(scene)()
    assert scene.meter.end().count("STOR") == FILES_IN_TREE


@pytest.mark.cell("mirror by times", times="modified")
def test_a_tree_whose_times_are_kept_is_compared_by_them(scene: Scene) -> None:
    scene.client.by_times = True
    again = _mirrored_up(scene)
    again()
    assert scene.meter.end().count("STOR") == FILES_IN_TREE
    # lftp sends no file that is older here than there.
    newer = (scene.local / "tree" / "one").stat().st_mtime + 3600
    os.utime(scene.local / "tree" / "one", (newer, newer))
    again()
    assert scene.meter.end().count("STOR") == FILES_IN_TREE + 1


def _mirrored_down(scene: Scene) -> Callable[[], None]:
    for name, content in TREE.items():
        scene.embedded.put_old(f"{scene.folder}/tree/{name}", content, OLD)
    (scene.local / "tree").mkdir()
    scene.do("mirror_down", f"{scene.folder}/tree", scene.local / "tree")
    assert _files(scene.local / "tree") == TREE
    assert scene.meter.end().count("RETR") <= FILES_IN_TREE, "some more than once"  # lftp needs none for the empty file
    return lambda: scene.do("mirror_down", f"{scene.folder}/tree", scene.local / "tree")


@pytest.mark.cell("mirror down")
def test_a_tree_comes_down(scene: Scene) -> None:
    _mirrored_down(scene)


@pytest.mark.cell("mirror down again")
def test_a_tree_that_is_here_is_not_fetched_again(scene: Scene) -> None:
    again = _mirrored_down(scene)
    fetched = scene.meter.end().count("RETR")
    again()
    assert scene.meter.end().count("RETR") == fetched


@pytest.mark.cell("several at once")
def test_several_connections_upload_at_once(scene: Scene) -> None:
    tree = _write(scene.local / "tree", {f"file {number}": bytes([number]) * 300_000 for number in range(5)})
    scene.do("put_several", {path: f"{scene.folder}/{path.name}" for path in sorted(tree.iterdir())})
    assert scene.stored() == _files(tree)
    assert scene.meter.end().control >= 2
