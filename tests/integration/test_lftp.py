"""lftp against the daemon, over explicit and implicit TLS: whole trees up and down."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import lftp, needs_lftp
from tests.support.daemon import ROOT, Access

pytestmark = needs_lftp

MADE_HERE = (".venv*", "local", "__pycache__", "*.egg-info", "build", "dist", ".*_cache", ".hypothesis", "*.lock")
"""Not part of a checkout, or gone again before they are copied."""


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with its .git, as a fresh clone has it."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    if shutil.which("git") and (ROOT / ".git").exists():
        git = ["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-local", "--no-tags"]
        subprocess.run([*git, ROOT.as_uri(), str(copy)], check=True, capture_output=True)
    else:
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*MADE_HERE))
    return copy


def _files_and_directories(root: Path) -> tuple[dict[str, bytes], set[str]]:
    """Everything below a directory, symbolic links aside."""
    files: dict[str, bytes] = {}
    directories: set[str] = set()
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            continue
        if path.is_dir():
            directories.add(name)
        else:
            files[name] = path.read_bytes()
    return files, directories


def _write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_this_projects_own_checkout_is_mirrored_up_and_back(
    access: Access, backend: Backend, folder: str, tmp_path: Path, checkout: Path
) -> None:
    lftp(access, checkout, f"mirror --reverse --parallel=2 . {folder}/checkout")
    lftp(access, tmp_path, f"mirror --parallel=2 {folder}/checkout back")
    files, directories = _files_and_directories(checkout)
    assert any(name.startswith(".git/") for name in files) or not (ROOT / ".git").exists()
    assert _files_and_directories(tmp_path / "back") == (files, directories)
    stored = backend.sizes(f"{folder}/checkout/")
    assert {name for name in stored if not name.endswith("/")} == {f"{folder}/checkout/{name}" for name in files}
    difference = ["diff", "--recursive", "--no-dereference", str(checkout), str(tmp_path / "back")]
    subprocess.run(difference, check=True)


def test_a_second_mirror_sends_only_what_has_changed(access: Access, folder: str, tmp_path: Path) -> None:
    tree = _write(tmp_path / "tree", {"same": b"same", "changed": b"before", "gone": b"gone"})
    lftp(access, tree, f"mirror --reverse . {folder}")
    (tree / "changed").write_bytes(b"is longer now")
    (tree / "gone").unlink()
    said = lftp(access, tree, f"mirror --reverse --delete --ignore-time --verbose . {folder}")
    assert "changed" in said
    assert "gone" in said
    assert "same" not in said
    lftp(access, tmp_path, f"mirror {folder} back")
    assert _files_and_directories(tmp_path / "back")[0] == {"same": b"same", "changed": b"is longer now"}


def test_empty_directories_are_mirrored_up_and_back(
    access: Access, backend: Backend, folder: str, tmp_path: Path
) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "full" / "empty too").mkdir(parents=True)
    lftp(access, tmp_path, f"mirror --reverse tree {folder}", f"mirror {folder} back")
    assert _files_and_directories(tmp_path / "back") == ({}, {"empty", "full", "full/empty too"})
    assert backend.sizes(folder) == {
        f"{folder}/{name}": 0 for name in ("", "empty/", "full/", "full/empty too/")
    }  # fmt: skip


def test_a_tree_made_by_other_s3_tools_is_read_and_removed(
    access: Access, backend: Backend, folder: str, tmp_path: Path
) -> None:
    files = {"a/b/c/deep": b"deep", "a/b/beside": b"beside", "a/top": b"top"}
    for name, content in files.items():
        backend.put(f"{folder}/tree/{name}", content)
    lftp(access, tmp_path, f"mirror {folder}/tree back", f"rm -r {folder}/tree")
    assert _files_and_directories(tmp_path / "back")[0] == files
    assert backend.sizes(folder) == {f"{folder}/": 0}


def test_several_files_are_fetched_by_a_pattern(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt", "three.bin"):
        backend.put(f"{folder}/{name}", name.encode())
    lftp(access, tmp_path, f"cd {folder}", "mget *.txt")
    assert _files_and_directories(tmp_path) == ({"one.txt": b"one.txt", "two.txt": b"two.txt"}, set())


def test_commands_may_be_sent_ahead_of_the_replies(
    access: Access, backend: Backend, folder: str, tmp_path: Path
) -> None:
    files = {f"{number % 3}/file {number}": f"content {number}".encode() for number in range(20)}
    _write(tmp_path / "tree", files)
    pipelining = "set ftp:sync-mode off"
    lftp(access, tmp_path, pipelining, f"mirror --reverse tree {folder}/tree", f"mirror {folder}/tree back")
    assert _files_and_directories(tmp_path / "back")[0] == files
    lftp(access, tmp_path, pipelining, f"cd {folder}/tree", "glob -a rm */*", "rmdir 0 1 2", "cd ..", "rmdir tree")
    assert backend.sizes(folder) == {f"{folder}/": 0}


def test_a_download_is_continued(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    backend.put(f"{folder}/file", content)
    (tmp_path / "file").write_bytes(content[:500_001])
    lftp(access, tmp_path, f"get -c {folder}/file")
    assert (tmp_path / "file").read_bytes() == content


def test_files_and_directories_are_renamed(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    backend.put(f"{folder}/dir/file", b"1")
    lftp(access, tmp_path, f"cd {folder}", "mv dir moved", 'mv moved/file "moved/an other"')
    assert backend.sizes(folder) == {f"{folder}/": 0, f"{folder}/moved/an other": 1}


def test_lists_of_every_kind_show_the_same_names(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    names = {"a file", "é 日本", "-dash", "UPPER"}
    for name in names:
        backend.put(f"{folder}/{name}", b"12")
    for use_mlsd in ("yes", "no"):
        shown = lftp(access, tmp_path, f"set ftp:use-mlsd {use_mlsd}", f"cd {folder}", "cls -1")
        assert set(shown.splitlines()) == names
    assert {
        line[-len(name) :] for line in lftp(access, tmp_path, f"ls {folder}").splitlines() for name in names
    } >= names
    assert set(lftp(access, tmp_path, f"cd {folder}", "nlist").splitlines()) == names
