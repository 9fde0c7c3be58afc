"""What ended sessions leave behind: nothing that only the garbage collector would find."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from aioftps3.ftp.session import Session
from aioftps3.ftp.tlsengine import TlsEngine
from tests.support.ftp_session import KINDS, Running, open_sockets, serving, until

FILE_BYTES = 300_000


@pytest.fixture
def _without_the_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> int:
    """Sessions and TLS connections of the server that something still refers to."""
    return sum(isinstance(thing, (Session, TlsEngine)) for thing in gc.get_objects())


async def transfer(running: Running, how: str) -> None:
    """One session with one transfer, which ends in one of the ways in which clients end."""
    client = await running.client()
    match how:
        case "a whole upload":
            assert (await client.upload("a", bytes(FILE_BYTES))).code == 226
        case "a download":
            assert len(await client.download("RETR there")) == FILE_BYTES
        case "an upload that is reset":
            wire = await client.open_data("STOR b")
            await wire.send(bytes(FILE_BYTES))
            wire.reset()
            assert (await client.reply()).code == 426
        case "a download that is reset":
            wire = await client.open_data("RETR there")
            wire.reset()
            assert (await client.reply()).code == 426
    if how == "a client that vanishes":
        client.wire.reset()
    else:
        await client.expect(221, "QUIT")
        client.wire.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "how",
    [
        "a whole upload",
        "a download",
        "an upload that is reset",
        "a download that is reset",
        "no transfer",
        "a client that vanishes",
    ],
)
@pytest.mark.usefixtures("_without_the_collector")
async def test_the_memory_of_ended_sessions_is_free_before_the_collector_comes(kind: str, how: str) -> None:
    """Their TLS holds as much as was received at once, which the collector does not know: it waits for many objects."""
    # What tests before this one keep, for their reports or in objects of their own, is no matter here.
    kept = left()
    async with serving(kind) as running:
        running.store.seed("there", bytes(FILE_BYTES))
        before = open_sockets()
        for _ in range(3):
            await transfer(running, how)
        running.wires.clear()
        await until(lambda: running.server.sessions == 0 and open_sockets() <= before)
        await until(lambda: left() <= kept)
