from aioftps3.storage.emptied import EmptiedDirectories


def test_what_is_remembered_is_there_until_it_is_forgotten() -> None:
    emptied = EmptiedDirectories()
    emptied.remember("a/b/")
    emptied.remember("a/b/")
    assert "a/b/" in emptied
    assert "a/" not in emptied
    assert len(emptied) == 1

    emptied.forget("a/b/")
    emptied.forget("a/b/")
    assert "a/b/" not in emptied
    assert emptied.children("a/") == frozenset()


def test_children_are_the_names_directly_below() -> None:
    emptied = EmptiedDirectories()
    for marker in ("a/", "a/b/", "a/b/c/", "ab/", "d/"):
        emptied.remember(marker)
    assert emptied.children("") == {"a", "ab", "d"}
    assert emptied.children("a/") == {"b"}
    assert set(emptied.below("a/")) == {"a/b/", "a/b/c/"}


def test_the_least_recently_emptied_is_forgotten_when_there_are_too_many() -> None:
    emptied = EmptiedDirectories(capacity=2)
    for marker in ("a/", "b/", "a/", "c/"):
        emptied.remember(marker)
    assert len(emptied) == 2
    assert "b/" not in emptied
    assert emptied.children("") == {"a", "c"}
