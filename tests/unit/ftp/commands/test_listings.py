"""LIST NLST MLSD."""

from __future__ import annotations

import pytest

from tests.support.ftp_session import KINDS, FtpStore, running_server, serving

OBJECTS = {"dir/a.txt": b"12345", "dir/b/c": b"", "dir/b": b"hidden by the directory", "empty/": b"", "file": b"1"}


def names(listing: bytes) -> list[str]:
    return [line.split(maxsplit=8)[-1] for line in listing.decode().split("\r\n") if line]


@pytest.mark.parametrize(
    "line", ["LIST", "LIST -a", "LIST -al", "LIST /", "LIST -la .", "list", "LIST -R", "LIST -a -l ./"]
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
