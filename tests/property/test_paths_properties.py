"""Whatever a client sends, a path stays below its root, and a key means one path."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioftps3.storage.errors import NameInvalid
from aioftps3.storage.paths import (
    KEY_BYTES,
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
)

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(". %+&é日"), min_size=1, max_size=8
).filter(valid_name)
PATHS = st.lists(NAMES, max_size=6).map(lambda names: VirtualPath("/" + "/".join(names)))
PREFIXES = st.lists(NAMES, max_size=3).map(lambda names: "".join(name + "/" for name in names))
ARGUMENTS = st.lists(NAMES | st.sampled_from(["..", ".", "", " "]), max_size=12).map("/".join)


@given(PATHS, ARGUMENTS)
def test_resolve_gives_a_normalised_path_and_never_leads_above_the_root(cwd: VirtualPath, argument: str) -> None:
    path = resolve(cwd, argument)

    assert path.startswith("/")
    assert path == ROOT or all(valid_name(name) for name in path[1:].split("/"))
    assert resolve(ROOT, path) == path
    assert marker_of(path, "home/").startswith("home/")


@given(PATHS, ARGUMENTS)
def test_resolve_means_what_posix_means(cwd: VirtualPath, argument: str) -> None:
    expected = posixpath.normpath("//" + posixpath.join(cwd, argument).lstrip("/"))
    assert resolve(cwd, argument) == "/" + expected.lstrip("/")


@given(st.text(max_size=30))
def test_resolve_of_anything_is_a_path_or_a_refusal(argument: str) -> None:
    try:
        path = resolve(ROOT, argument)
    except NameInvalid:
        assert any(ord(letter) < 0x20 or letter == "\x7f" or 0xD800 <= ord(letter) < 0xE000 for letter in argument)
    else:
        assert path_of(marker_of(path)) == path


@given(PATHS.filter(lambda path: path != ROOT), PREFIXES)
def test_paths_survive_the_way_to_a_key_and_back(path: VirtualPath, prefix: str) -> None:
    assert path_of(key_of(path, prefix), prefix) == path
    assert path_of(marker_of(path, prefix), prefix) == path
    assert marker_of(path, prefix) == key_of(path, prefix) + "/"


@given(st.text(max_size=20))
def test_a_key_is_either_a_path_of_its_own_or_no_path(key: str) -> None:
    path = path_of(key)
    if path is not None and path != ROOT:
        assert key in {key_of(path), marker_of(path)}


@given(PATHS, NAMES)
def test_join_parent_and_name_belong_together(path: VirtualPath, name: str) -> None:
    child = join(path, name)

    assert (parent_of(child), name_of(child)) == (path, name)
    assert ancestors(child) == (*ancestors(path), path)
    assert is_below(child, path)
    assert all(is_below(child, above) for above in ancestors(child))
    assert not is_below(path, child)


@given(st.integers(min_value=KEY_BYTES - 3, max_value=KEY_BYTES + 3), st.sampled_from(["", "home/"]))
def test_a_key_is_refused_exactly_when_it_is_over_the_limit(size: int, prefix: str) -> None:
    path = VirtualPath("/" + "x" * (size - len(prefix)))
    if size <= KEY_BYTES:
        assert len(key_of(path, prefix)) == size
    else:
        with pytest.raises(NameInvalid):
            key_of(path, prefix)
