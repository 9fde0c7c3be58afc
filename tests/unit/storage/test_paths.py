import pytest

from aioftps3.storage.errors import NameInvalid
from aioftps3.storage.paths import (
    ROOT,
    VirtualPath,
    ancestors,
    is_below,
    join,
    key_of,
    marker_of,
    name_of,
    parent_of,
    path_of,
    resolve,
    valid_name,
    valid_prefix,
)


@pytest.mark.parametrize(
    ("cwd", "argument", "expected"),
    [
        ("/", "", "/"),
        ("/a", "", "/a"),
        ("/a/b", ".", "/a/b"),
        ("/a/b", "..", "/a"),
        ("/a/b", "../../../..", "/"),
        ("/a", "b", "/a/b"),
        ("/a", "/b", "/b"),
        ("/a", "//b///c/", "/b/c"),
        ("/a", "/../../etc/passwd", "/etc/passwd"),
        ("/a", "b/./../c", "/a/c"),
        ("/a", " b ", "/a/ b "),
        ("/a", "...", "/a/..."),
        ("/a", "..\\..", "/a/..\\.."),
        ("/", "~", "/~"),
        ("/", "-la", "/-la"),
        ("/", "日本/é", "/日本/é"),
    ],
)
def test_resolve(cwd: str, argument: str, expected: str) -> None:
    assert resolve(VirtualPath(cwd), argument) == expected


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("a\0b", "file name holds a control character"),
        ("a\rb", "file name holds a control character"),
        ("\n", "file name holds a control character"),
        ("\x1b[2J", "file name holds a control character"),
        ("\x7f", "file name holds a control character"),
        ("caf\udce9", "file name is not UTF-8"),
    ],
)
def test_characters_that_no_path_holds_are_refused_with_a_reason(argument: str, reason: str) -> None:
    with pytest.raises(NameInvalid) as caught:
        resolve(ROOT, argument)
    assert caught.value.reason == reason


@pytest.mark.parametrize("path", ["", "a", "/a/", "//", "/a//b", "/a/../b", "/.", "/a/.", "/a\nb", "/\ud800"])
def test_what_is_no_normalised_path_has_no_key(path: str) -> None:
    with pytest.raises(NameInvalid):
        key_of(VirtualPath(path), "home/")
    with pytest.raises(NameInvalid):
        marker_of(VirtualPath(path), "home/")


def test_the_root_has_no_key_of_its_own() -> None:
    with pytest.raises(NameInvalid):
        key_of(ROOT, "home/")
    assert marker_of(ROOT, "home/") == "home/"
    assert marker_of(ROOT) == ""


def test_keys_are_prefix_and_path() -> None:
    path = VirtualPath("/a b/c+d")
    assert key_of(path) == "a b/c+d"
    assert key_of(path, "home/") == "home/a b/c+d"
    assert marker_of(path, "home/") == "home/a b/c+d/"


def test_the_limit_is_in_bytes_of_the_whole_key() -> None:
    assert len(key_of(VirtualPath("/" + "é" * 512)).encode()) == 1024
    for path, prefix in (("/" + "é" * 513, ""), ("/" + "x" * 1020, "home/")):
        with pytest.raises(NameInvalid) as caught:
            key_of(VirtualPath(path), prefix)
        assert caught.value.reason == "file name is too long"
    with pytest.raises(NameInvalid):
        marker_of(VirtualPath("/" + "x" * 1024))


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("a/b", "", "/a/b"),
        ("a/b/", "", "/a/b"),
        ("home/a", "home/", "/a"),
        ("home/", "home/", "/"),
        ("", "", "/"),
        ("other/a", "home/", None),
        ("home", "home/", None),
        ("/a", "", None),
        ("a//b", "", None),
        ("a//", "", None),
        ("/", "", None),
        ("a/../b", "", None),
        ("a/.", "", None),
        ("a\nb", "", None),
    ],
)
def test_path_of_a_key(key: str, prefix: str, expected: str | None) -> None:
    assert path_of(key, prefix) == expected


def test_parts_of_paths() -> None:
    path = VirtualPath("/a/b/c")
    assert (parent_of(path), name_of(path)) == ("/a/b", "c")
    assert (parent_of(VirtualPath("/a")), parent_of(ROOT), name_of(ROOT)) == ("/", "/", "/")
    assert (join(ROOT, "a"), join(path, "d")) == ("/a", "/a/b/c/d")
    assert ancestors(path) == ("/", "/a", "/a/b")
    assert ancestors(ROOT) == ()


def test_below_means_below_and_not_beginning_alike() -> None:
    assert is_below(VirtualPath("/a/b"), VirtualPath("/a"))
    assert is_below(VirtualPath("/a"), ROOT)
    assert not is_below(VirtualPath("/ab"), VirtualPath("/a"))
    assert not is_below(VirtualPath("/a"), VirtualPath("/a"))
    assert not is_below(ROOT, ROOT)


def test_valid_names_and_prefixes() -> None:
    assert all(map(valid_name, ["a", "...", " ", "日", "a_$folder$"]))
    assert not any(map(valid_name, ["", ".", "..", "a/b", "\t", "\ud800"]))
    assert all(map(valid_prefix, ["", "a/", "a/b/"]))
    assert not any(map(valid_prefix, ["a", "/", "/a/", "a//b/", "../", "a/./"]))
