from __future__ import annotations

import pytest

from aioftps3.storage.moves import Moves
from aioftps3.storage.store import ObjectInfo


def info(key: str = "a/f", etag: str = "1") -> ObjectInfo:
    return ObjectInfo(key=key, size=1, etag=etag, modified=0.0)


def test_a_move_is_unfinished_from_its_beginning_to_its_good_end() -> None:
    moves = Moves()
    assert not moves.is_unfinished("a/", "b/")
    moves.begin("a/", "b/")
    moves.begin("a/", "b/")
    assert moves.is_unfinished("a/", "b/")
    assert not moves.is_unfinished("b/", "a/")
    moves.end("a/", "b/")
    moves.end("a/", "b/")
    assert not moves.is_unfinished("a/", "b/")


def test_copies_of_an_unfinished_move_are_known_by_both_etags() -> None:
    moves = Moves()
    moves.note("a/", "b/", info(), "2")
    assert not moves.knows("a/", "b/", info(), "2"), "the move has not begun"
    moves.begin("a/", "b/")
    moves.note("a/", "b/", info(), "2")
    moves.begin("a/", "b/")
    assert moves.knows("a/", "b/", info(), "2")
    assert not moves.knows("a/", "b/", info(), "3")
    assert not moves.knows("a/", "b/", info(etag="4"), "2")
    assert not moves.knows("a/", "b/", info(key="a/g"), "2")
    assert not moves.knows("a/", "c/", info(), "2")
    moves.end("a/", "b/")
    assert not moves.knows("a/", "b/", info(), "2")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.storage.moves._COPIES", 2)
    moves = Moves()
    for number in range(200):
        moves.begin("a/", f"{number}/")
    assert sum(moves.is_unfinished("a/", f"{number}/") for number in range(200)) == 100
    for number in range(3):
        moves.note("a/", "199/", info(etag=str(number)), "2")
    assert [moves.knows("a/", "199/", info(etag=str(number)), "2") for number in range(3)] == [True, True, False]


def test_those_that_wait_for_the_same_move_are_overtaken_by_its_good_end() -> None:
    moves = Moves()
    with moves.attempt("a", "b") as waiting, moves.attempt("a", "c") as other:
        with moves.attempt("a", "b") as first:
            assert not first.overtaken
        assert waiting.overtaken
        assert not other.overtaken
        with moves.attempt("a", "b") as later:
            assert not later.overtaken
    assert len(moves) == 0


def test_a_move_that_fails_overtakes_nobody() -> None:
    moves = Moves()
    with moves.attempt("a", "b") as waiting:
        with pytest.raises(KeyError), moves.attempt("a", "b"):
            raise KeyError
        assert not waiting.overtaken
    assert len(moves) == 0
