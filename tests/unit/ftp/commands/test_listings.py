"""LIST NLST MLSD."""

from __future__ import annotations

import pytest

from tests.support.ftp_session import KINDS, FtpStore, running_server, serving

OBJECTS = {"dir/a.txt": b"12345", "dir/b/c": b"", "dir/b": b"hidden by the directory", "empty/": b"", "file": b"1"}


def names(listing: bytes) -> list[str]:
    return [line.split(maxsplit=8)[-1] for line in listing.decode().split("\r\n") if line]


@pytest.mark.parametrize(
    "line", ["LIST", "LIST -a", "LIST -al", "LIST /", "LIST -la .", "list", "LIST -ltr", "LIST -a -l ./", "NLST -l"]
)
async def test_list_takes_options_and_means_the_current_directory(line: str) -> None:
    """D31."""
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        assert names(await client.download(line)) == ["dir", "empty", "file"]


async def test_list_of_a_directory_and_of_a_file() -> None:
    """D37."""
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        listing = await client.download("LIST dir")
        assert names(listing) == ["a.txt", "b"]
        assert listing.startswith(b"-rw-r--r--   1 ftp ")
        assert b"\r\ndrwxr-xr-x   2 ftp " in listing
        assert names(await client.download("LIST dir/a.txt")) == ["a.txt"]
        assert names(await client.download("LIST -l dir/a.txt")) == ["a.txt"]
        assert names(await client.download("LIST dir -la")) == ["a.txt", "b"]
        assert names(await client.download("LIST -d dir")) == ["dir"]


@pytest.mark.parametrize("verb", ["LIST", "NLST", "MLSD"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_directory_is_no_bytes_and_226(verb: str, kind: str) -> None:
    async with serving(kind, store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        assert await client.download(f"{verb} empty") == b""


async def test_nlst_is_names_alone() -> None:
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        assert await client.download("NLST") == b"dir\r\nempty\r\nfile\r\n"
        assert await client.download("NLST -CF") == b"dir\r\nempty\r\nfile\r\n"
        assert await client.download("NLST dir") == b"a.txt\r\nb\r\n"


async def test_mlsd_ends_with_226_and_shows_the_chosen_facts() -> None:
    """D30."""
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        assert await client.download("MLSD dir") == (
            b"type=file;size=5;modify=19700112134641;perm=adfrw; a.txt\r\ntype=dir;perm=cdeflmp; b\r\n"
        )
        await client.expect(200, "OPTS MLST type;size;")
        assert await client.download("MLSD dir") == b"type=file;size=5; a.txt\r\ntype=dir; b\r\n"


async def test_a_listing_shows_every_page_at_the_promised_price() -> None:
    """D45."""
    everything = [f"{number:05d}" for number in range(2500)]
    for verb in ("LIST", "NLST", "MLSD"):
        async with running_server(store=FtpStore(dict.fromkeys(everything, b""))) as running:
            client = await running.client()
            listing = await client.download(verb)
            assert [line.rpartition(" ")[2] for line in listing.decode().splitlines()] == everything
            assert len(running.store.operations()) == 3


async def test_names_that_look_like_options_or_have_blanks_are_reachable() -> None:
    async with running_server(store=FtpStore({"-x/one": b"", "two words/two": b"", " lead/three": b""})) as running:
        client = await running.client()
        assert await client.download("NLST ./-x") == b"one\r\n"
        assert await client.download("NLST -- -x") == b"one\r\n"
        assert await client.download("NLST two words") == b"two\r\n"
        assert await client.download("NLST ./ lead") == b"three\r\n"


async def test_a_store_that_fails_at_the_second_page_is_never_226() -> None:
    store = FtpStore({f"{number:03d}": b"" for number in range(30)}, page_limit=10)
    async with running_server(store=store) as running:
        client = await running.client()
        calls = 0

        def point(operation: str, key: str, when: str) -> None:
            nonlocal calls
            calls += when == "before"
            if calls == 3:
                raise TimeoutError

        store.point = point
        wire = await client.open_data("LIST")
        await wire.receive_all()
        assert (await client.reply()).code == 451
        assert await client.codes("NOOP") == [200]


# -- options -------------------------------------------------------------------------------------------------------

DASHES = {"-la/one": b"", "-draft/two": b"", "-x": b"3", "dir -la/four": b"", "dir/five": b""}


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("NLST ./-la", "one"),
        ("NLST -- -la", "one"),
        ("NLST -draft", "two"),
        ("NLST -a -draft", "two"),
        ("NLST -x", "-x"),
        ("NLST dir -la", "four"),
        ("NLST dir -a", "five"),
        ("NLST -a dir -a", "five"),
    ],
)
async def test_a_name_that_looks_like_an_option_is_found(line: str, listed: str) -> None:
    async with running_server(store=FtpStore(DASHES)) as running:
        client = await running.client()
        assert await client.download(line) == f"{listed}\r\n".encode()


@pytest.mark.parametrize("line", ["LIST -Z", "LIST -none", "NLST -qqq"])
async def test_options_that_nobody_knows_are_no_error(line: str) -> None:
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        assert names(await client.download(line)) == ["dir", "empty", "file"]


async def test_options_that_clients_send_cost_no_request() -> None:
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        for line in ("LIST -a", "LIST -la", "NLST -CF", "LIST -al dir", "LIST -aL dir", "STAT -l dir"):
            running.store.operations()
            await (client.command(line) if line.startswith("STAT") else client.download(line))
            assert (line, running.store.operations()) == (line, ["ListObjectsV2"])


@pytest.mark.parametrize(
    "line", ["LIST none", "LIST none -la", "NLST -la none", "NLST none/*", "LIST file/*", "STAT x*/y"]
)
async def test_a_listing_of_nothing_is_550(line: str) -> None:
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes(line, "NOOP") == [550, 200]


async def test_the_150_names_what_is_listed() -> None:
    async with running_server(store=FtpStore(OBJECTS)) as running:
        client = await running.client()
        for line, name in (("LIST -la", "/"), ("LIST -la dir", "/dir"), ("NLST", "/"), ("NLST d*", "/d*")):
            wire = await client.connect_data()
            answer = await client.command(line)
            assert answer.text == f"150 Opening data connection for the listing of {name}."
            await wire.receive_all()
            wire.close()
            assert (await client.reply()).code == 226


# -- patterns ------------------------------------------------------------------------------------------------------

PLENTY = {
    "dd/one.txt": b"1",
    "dd/two.txt": b"22",
    "dd/two/x.txt": b"",
    "dd/[odd].txt": b"333",
    "dd/.hidden": b"",
    "[dir]/inside": b"",
    "other": b"",
}


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("NLST dd/*.txt", ["dd/[odd].txt", "dd/one.txt", "dd/two.txt"]),
        ("NLST dd/two*", ["dd/two", "dd/two.txt"]),
        ("NLST /dd/o?e.txt", ["/dd/one.txt"]),
        ("NLST dd/[ot]*", ["dd/one.txt", "dd/two", "dd/two.txt"]),
        ("NLST dd/[odd].txt", ["dd/[odd].txt"]),
        ("NLST dd/*", ["dd/.hidden", "dd/[odd].txt", "dd/one.txt", "dd/two", "dd/two.txt"]),
        ("NLST *", ["[dir]", "dd", "other"]),
        ("NLST ./o*", ["./other"]),
        ("NLST -a o*", ["other"]),
        ("NLST [dir]", ["inside"]),
        ("NLST dd/x*", []),
        ("NLST dd/one.txt", ["dd/one.txt"]),
        ("NLST -d dd/two", ["dd/two"]),
        ("NLST -d dd/two/", ["dd/two"]),
        ("NLST dd/.*", ["dd/.hidden"]),
        ("NLST .*", []),
        ("NLST */", ["[dir]", "dd"]),
        ("NLST /d*/", ["/dd"]),
        ("NLST dd/t*/", ["dd/two"]),
        ("NLST dd/o*.txt -1", ["dd/one.txt"]),
        ("NLST dd/x* -1", []),
        ("NLST -1 dd/x*", []),
        ("NLST -1a /dd/x*", []),
        ("NLST -a ./x*", []),
        ("NLST -1 x* -a", []),
    ],
)
async def test_nlst_gives_names_that_retr_takes(line: str, listed: list[str]) -> None:
    """What mget of tnftp, inetutils-ftp and ncftp asks for."""
    async with running_server(store=FtpStore(PLENTY)) as running:
        client = await running.client()
        assert (await client.download(line)).decode().split("\r\n") == [*listed, ""]


async def test_list_and_stat_take_patterns_too() -> None:
    async with running_server(store=FtpStore(PLENTY)) as running:
        client = await running.client()
        assert names(await client.download("LIST dd/t*")) == ["two", "two.txt"]
        assert names(await client.download("LIST -l dd/one*")) == ["one.txt"]
        assert names(await client.download("LIST dd/one* -l")) == ["one.txt"]
        answer = await client.command("STAT dd/*.txt")
        assert [row.split()[-1] for row in answer.lines[1:-1]] == ["[odd].txt", "one.txt", "two.txt"]
        assert answer.code == 212


async def test_a_name_that_is_a_pattern_with_options_behind_it_is_found() -> None:
    async with running_server(store=FtpStore({"a": b"", "[ab] -l": b"", "[xy] -l/inside": b""})) as running:
        client = await running.client()
        assert await client.download("NLST [ab] -l") == b"[ab] -l\r\n"
        assert await client.download("NLST [xy] -l") == b"inside\r\n"


@pytest.mark.parametrize("line", ["LIST a/", "NLST a/", "NLST -R a/", "NLST -d a/", "STAT a/", "LIST none/"])
async def test_a_file_is_no_directory(line: str) -> None:
    async with running_server(store=FtpStore({"a": b""})) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes(line, "NOOP") == [550, 200]


async def test_a_pattern_costs_the_pages_of_its_beginning_and_one_request() -> None:
    store = FtpStore({**{f"a{number:05d}": b"" for number in range(3000)}, "b1": b"", "b2": b""})
    async with running_server(store=store) as running:
        client = await running.client()
        assert await client.download("NLST b*") == b"b1\r\nb2\r\n"
        assert running.store.operations() == ["ListObjectsV2"] * 2
        assert (await client.download("NLST a*9")).count(b"\r\n") == 300
        assert running.store.operations() == ["ListObjectsV2"] * 4


# -- recursive -----------------------------------------------------------------------------------------------------

TREE = {"a/b/c": b"1", "a/b2/": b"", "a/d": b"22", "e": b"", "f/g": b""}


async def test_list_r_shows_all_below_as_ls_does() -> None:
    async with running_server(store=FtpStore(TREE)) as running:
        client = await running.client()
        shown = [line.split(maxsplit=8)[-1:] for line in (await client.download("LIST -R")).decode().split("\r\n")]
        assert [cells[0] if cells else "" for cells in shown] == [
            *[".:", "a", "e", "f", ""],
            *["./a:", "b", "b2", "d", ""],
            *["./a/b:", "c", ""],
            *["./a/b2:", ""],
            *["./f:", "g", ""],
        ]


@pytest.mark.parametrize(
    ("line", "headings"),
    [
        ("LIST -lR a", ["a:", "a/b:", "a/b2:"]),
        ("LIST -aR a/", ["a:", "a/b:", "a/b2:"]),
        ("LIST -R /a", ["/a:", "/a/b:", "/a/b2:"]),
        ("LIST -R /", ["/:", "/a:", "/a/b:", "/a/b2:", "/f:"]),
        ("LIST -R a/b2", ["a/b2:"]),
        ("LIST -R e", []),
        ("LIST -R a*", []),
        ("LIST a -R", ["a:", "a/b:", "a/b2:"]),
    ],
)
async def test_headings_are_as_the_path_was_given(line: str, headings: list[str]) -> None:
    async with running_server(store=FtpStore(TREE)) as running:
        client = await running.client()
        lines = (await client.download(line)).decode().split("\r\n")
        assert [text for text in lines if text.endswith(":")] == headings


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("NLST -R", ["a", "e", "f", "a/b", "a/b2", "a/d", "a/b/c", "f/g"]),
        ("NLST -R a", ["a/b", "a/b2", "a/d", "a/b/c"]),
        ("NLST -R /a/", ["/a/b", "/a/b2", "/a/d", "/a/b/c"]),
        ("NLST -R e", ["e"]),
    ],
)
async def test_nlst_r_gives_paths(line: str, listed: list[str]) -> None:
    async with running_server(store=FtpStore(TREE)) as running:
        client = await running.client()
        assert (await client.download(line)).decode().split("\r\n")[:-1] == listed


async def test_a_recursive_listing_is_one_request_a_directory() -> None:
    async with running_server(store=FtpStore(TREE)) as running:
        client = await running.client()
        await client.download("LIST -R")
        assert running.store.operations() == ["ListObjectsV2"] * 5


async def test_a_directory_that_goes_meanwhile_is_left_out() -> None:
    store = FtpStore(TREE)
    async with running_server(store=store) as running:
        client = await running.client()

        def point(operation: str, key: str, when: str) -> None:
            if key == "a/b/" and when == "before" and "a/b/c" in store.contents:
                store.drop("a/b/c")

        store.point = point
        assert b"a/b2" in await client.download("NLST -R")


async def test_a_recursive_listing_remembers_a_bounded_number_of_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.ftp.ls.MAX_PENDING", 10)
    async with running_server(store=FtpStore({f"{number:02d}/file": b"" for number in range(11)})) as running:
        client = await running.client()
        wire = await client.open_data("LIST -R")
        await wire.receive_all()
        assert (await client.reply()).code == 451
        running.store.drop("10/file")
        assert b"09/file" in await client.download("NLST -R")


async def test_abor_ends_a_recursive_listing() -> None:
    async with running_server(store=FtpStore(TREE)) as running:
        client = await running.client()
        await client.open_data("LIST -R")
        held = running.store.hold("ListObjectsV2")
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        held.set()
