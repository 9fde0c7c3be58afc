"""What clients send to LIST and NLST, and what it is taken for."""

from __future__ import annotations

import pytest

from aioftps3.ftp.lsarguments import list_requests, name_filter


@pytest.mark.parametrize(
    ("argument", "meanings"),
    [
        ("", [("", "")]),
        ("dir", [("", "dir")]),
        ("-a", [("a", "")]),
        ("-la", [("la", "")]),
        ("-CF", [("CF", "")]),
        ("-ltrR", [("ltrR", "")]),
        ("-al dir", [("al", "dir"), ("", "-al dir")]),
        ("-1 x", [("1", "x"), ("", "-1 x")]),
        ("-la  x", [("la", "x"), ("", "-la  x")]),
        ("-a -l some dir", [("al", "some dir"), ("", "-a -l some dir")]),
        ("-- -x", [("", "-x")]),
        ("--", [("", "")]),
        ("-a -- -x", [("a", "-x")]),
        ("./-la", [("", "./-la")]),
        ("-x.txt", [("", "-x.txt")]),
        ("-", [("", "-")]),
        ("--long", [("", "--long")]),
        # not what clients send: a name, if there is one
        ("-draft", [("", "-draft"), ("draft", "")]),
        ("-data", [("", "-data"), ("data", "")]),
        ("-z dir", [("", "-z dir"), ("z", "dir")]),
        ("-a -draft", [("a", "-draft"), ("adraft", ""), ("", "-a -draft")]),
        # options behind the path, unless that is a name
        ("dir -la", [("", "dir -la"), ("la", "dir")]),
        ("some dir -R", [("", "some dir -R"), ("R", "some dir")]),
        ("-a dir -l", [("a", "dir -l"), ("al", "dir"), ("", "-a dir -l")]),
        ("dir -draft", [("", "dir -draft")]),
        (" -la", [("", " -la")]),
    ],
)
def test_options_and_path_are_told_apart(argument: str, meanings: list[tuple[str, str]]) -> None:
    """D31: `LIST -a` is the current directory."""
    assert [(request.options, request.path) for request in list_requests(argument)] == meanings


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", ["a.txt", "A.TXT", "b.txt", ".hidden", "a[1].txt", "\u00e9"]),
        ("*.txt", ["a.txt", "b.txt", "a[1].txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("?", ["\u00e9"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("[a-z].txt", ["a.txt", "b.txt"]),
        ("a[1].txt", ["a[1].txt"]),
        ("a[[]*", ["a[1].txt"]),
        (".*", [".hidden"]),
        ("*x", []),
    ],
)
def test_patterns_are_those_of_the_shell(pattern: str, matched: list[str]) -> None:
    names = ["a.txt", "A.TXT", "b.txt", ".hidden", "a[1].txt", "\u00e9"]
    assert [name for name in names if name_filter(pattern)(name)] == matched
