from aioftps3.storage.entries import Entry, PageMerger, directory_entry, file_entry
from aioftps3.storage.paths import ROOT, VirtualPath
from aioftps3.storage.store import ListPage, ObjectInfo

DIRECTORY = VirtualPath("/d")


def info(key: str, size: int = 1) -> ObjectInfo:
    return ObjectInfo(key=key, size=size, etag=f'"{key}"', modified=5.0)


def page(*names: str, more: bool = False) -> ListPage:
    keys = ["d/" + name for name in names]
    return ListPage(
        objects=tuple(info(key) for key in keys if key == "d/" or not key.endswith("/")),
        prefixes=tuple(key for key in keys if key != "d/" and key.endswith("/")),
        next_token="more" if more else None,
    )


def shown(entries: list[Entry]) -> list[str]:
    return [entry.name + "/" * entry.is_dir for entry in entries]


def test_entries_of_files_and_directories() -> None:
    assert file_entry(VirtualPath("/d/f"), info("d/f", 7)) == Entry(
        name="f", path=VirtualPath("/d/f"), is_dir=False, size=7, modified=5.0, etag='"d/f"'
    )
    assert directory_entry(DIRECTORY) == Entry(name="d", path=DIRECTORY, is_dir=True)
    assert directory_entry(DIRECTORY, info("d/")).modified == 5.0
    assert directory_entry(ROOT).name == "/"


def test_files_and_directories_of_a_page_are_sorted_by_name() -> None:
    merger = PageMerger(DIRECTORY, "d/")
    entries = merger.entries(page("a.txt", "b", "a/", "c/"))

    assert shown(entries) == ["a/", "a.txt", "b", "c/"]
    assert [entry.path for entry in entries] == ["/d/a", "/d/a.txt", "/d/b", "/d/c"]


def test_the_marker_and_folder_objects_of_old_tools_are_not_shown() -> None:
    merger = PageMerger(DIRECTORY, "d/")
    assert shown(merger.entries(page("", "x", "x_$folder$"))) == ["x"]
    assert merger.hidden == 0


def test_names_that_no_path_leads_to_are_hidden_and_counted() -> None:
    merger = PageMerger(DIRECTORY, "d/")
    assert shown(merger.entries(page("..", "\nx", "ok", "/", "./", "\x01/"))) == ["ok"]
    assert merger.hidden == 5


def test_a_name_that_is_both_is_the_directory() -> None:
    merger = PageMerger(DIRECTORY, "d/")
    assert shown(merger.entries(page("a", "a!", "a/"))) == ["a/", "a!"]


def test_a_directory_on_a_later_page_hides_its_file_on_an_earlier_one() -> None:
    merger = PageMerger(DIRECTORY, "d/")
    assert shown(merger.entries(page("A", "a", "a!", more=True))) == ["A"]
    assert shown(merger.entries(page("a!1", "a#", more=True))) == ["a!", "a!1"]
    assert shown(merger.entries(page("a/", "b", more=True))) == ["a/", "a#"]
    assert shown(merger.entries(page("c"))) == ["b", "c"]


def test_a_file_whose_directory_never_comes_is_shown_late() -> None:
    merger = PageMerger(DIRECTORY, "d/")
    assert shown(merger.entries(page("a", "a!", more=True))) == []
    assert shown(merger.entries(page(more=True))) == []
    assert shown(merger.entries(page())) == ["a", "a!"]


def test_remembered_directories_appear_once_and_at_their_place() -> None:
    merger = PageMerger(DIRECTORY, "d/", ["z", "b", "a", "both"])
    assert shown(merger.entries(page("a0", "b", "c", more=True))) == ["a/", "a0", "b/", "both/"]
    assert shown(merger.entries(page("d/", "e", more=True))) == ["c", "d/"]
    assert shown(merger.entries(page("z/"))) == ["e", "z/"]
