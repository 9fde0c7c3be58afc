"""One whole session, sent in every way that clients send commands: the replies are the same, word for word."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import pytest

from aioftps3.ftp.parsing import LINE_LIMIT
from tests.support.ftp_session import LOGIN, PASSWORD, ActivePort, Answer, FtpClient, FtpStore, serving

CONTENT = b"line\r\n" * 5000
TRANSFERS = (
    ("STOR file", CONTENT),
    ("RETR file", None),
    ("LIST", None),
    ("NLST -la", None),
    ("MLSD", None),
    ("STOR dir/other file", b""),
    ("NLST dir/*", None),
    ("RETR none", None),
    ("LIST -R", None),
)
"""What is sent over a data connection of its own; None for what is received, or fails before there is one."""
FAILS_AT_ONCE = frozenset({"RETR none"})


BEFORE = f"""
    FEAT|SYST|PWD|USER nobody|PASS wrong|USER {LOGIN}|PASS {PASSWORD}|PBSZ 0|PROT P|OPTS UTF8 ON|CLNT x|HOST y|HELP
    |HELP STOR|TYPE I|MODE S|STRU F|MKD dir|MKD dir|CWD dir|PWD|CDUP|CWD none|ALLO {len(CONTENT)}
"""
AFTER = """
    STAT|NOOP|SIZE file|MDTM file|MLST dir/other file|STAT dir|RNFR file|RNTO "new"|RNTO x|DELE "new"|RMD dir|MKD qu"ote
    |CWD qu"ote|PWD|SITE CHMOD 644 x|SITE HELP|OPTS MLST size;|FEAT|REST 5|REST 0|LANG fr|FOO|RMDA /dir|REST x|QUIT
"""
STRANGE = (b"SYST", b"", b"\x00", b"CWD caf\xe9", b"MKD a\x01", b"X" * LINE_LIMIT)


def lines_of(text: str) -> list[bytes]:
    return [line.strip(" \n").encode() for line in text.split("|")]


def script(ports: list[ActivePort]) -> list[bytes]:
    """All lines of the session. The client listens, so that it can say everything without waiting for a reply.

    ABOR is not among them: it means the transfer that is running when it comes.
    """
    middle = []
    for port, (line, _) in zip(ports, TRANSFERS, strict=True):
        middle += [port.command[0].encode(), line.encode()]
    return [*lines_of(BEFORE), *middle, *STRANGE, *lines_of(AFTER)]


def lower_case(line: bytes) -> bytes:
    verb, blank, argument = line.partition(b" ")
    return verb.lower() + blank + argument


def with_telnet_inside(line: bytes) -> bytes:
    """IAC NOP in front, IAC IP IAC DM at the end."""
    return b"\xff\xf1" + line + b"\xff\xf4\xff\xf2"


def as_it_is(line: bytes) -> bytes:
    return line


async def move_files(client: FtpClient, ports: Iterable[ActivePort], received: list[bytes]) -> None:
    """The client's ends of the data connections, one after the other."""
    for port, (line, content) in zip(ports, TRANSFERS, strict=True):
        if line in FAILS_AT_ONCE:
            continue
        wire, _ = await port.accept()
        client.running.wires.append(wire)
        await client.encrypt(wire)
        if content is None:
            received.append(await wire.receive_all())
        else:
            await wire.send(content)
        await wire.end_in_order()


@dataclass(slots=True)
class Shape:
    """How a client sends its lines."""

    change: Callable[[bytes], bytes] = as_it_is
    end: bytes = b"\r\n"
    piece: int = 1_000_000

    async def send(self, client: FtpClient, lines: list[bytes]) -> None:
        """All lines, whatever is answered meanwhile."""
        stream = b"".join(self.change(line) + self.end for line in lines)
        for at in range(0, len(stream), self.piece):
            with contextlib.suppress(ConnectionError):  # the last line feed, behind QUIT
                await client.wire.send(stream[at : at + self.piece])


SHAPES = {
    "pipelined": Shape(),
    "lower case": Shape(lower_case),
    "line feeds alone": Shape(end=b"\n"),
    "byte by byte": Shape(piece=1),
    "cut anywhere": Shape(piece=7),
    "with telnet's bytes": Shape(with_telnet_inside, piece=100),
    "all of it": Shape(lambda line: with_telnet_inside(lower_case(line)), b"\n", 1),
}


async def polite(client: FtpClient, lines: list[bytes]) -> list[Answer]:
    """Each line after the final reply to the one before."""
    answers = []
    for line in lines:
        await client.wire.send(line + b"\r\n")
        while (answer := await client.reply()).code < 200:
            answers.append(answer)
        answers.append(answer)
    assert await client.at_end()
    return answers


async def shaped(shape: Shape, client: FtpClient, lines: list[bytes]) -> list[Answer]:
    """All lines ahead of their replies."""
    sending = asyncio.create_task(shape.send(client, lines))
    answers = []
    while (answer := await client.reply()).code:
        answers.append(answer)
    await sending
    return answers


async def session(
    kind: str, talk: Callable[[FtpClient, list[bytes]], Awaitable[list[Answer]]]
) -> tuple[list[str], list[bytes], dict[str, bytes]]:
    """Every reply, what came over the data connections, and what the store holds at the end."""
    async with serving(kind, store=FtpStore({"old": b"1"}), active_mode=True) as running:
        client = await running.greeted()
        if kind != "clear":
            await client.start_tls()
            client.protected = True
        ports = [ActivePort() for _ in TRANSFERS]
        running.wires += ports
        received: list[bytes] = []
        moving = asyncio.create_task(move_files(client, ports, received))
        replies = [answer.text for answer in await talk(client, script(ports))]
        await moving
        return replies, received, running.store.contents


@pytest.mark.parametrize("kind", ["clear", "tls1.3"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_session_in_any_shape_gets_the_same_replies(shape: str, kind: str) -> None:
    """D6, D24, D26."""
    expected = await session(kind, polite)
    assert await session(kind, functools.partial(shaped, SHAPES[shape])) == expected
    replies, received, contents = expected
    assert len(replies) > 80
    assert received[0] == CONTENT
    assert set(contents) == {"old", 'qu"ote/'}
