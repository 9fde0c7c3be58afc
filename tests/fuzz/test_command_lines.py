"""Whatever a client sends as a command: one final reply for each line, no error in the log, nothing left behind.

``--fuzz-lines N`` says how many lines are sent, ``--first-seed N`` where the seeds begin. Of a session that fails
hypothesis finds and shows the lines that matter.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from aioftps3.ftp.commands import command_table
from aioftps3.ftp.commands.site import SUBCOMMANDS
from aioftps3.ftp.config import FtpConfig
from tests.support.ftp_session import HOST, FtpClient, FtpStore, Running, clear_text, encrypted, running_server

LINES_A_SESSION = 50
LINES_A_TEST = 500

KINDS = ("logged in", "not logged in", "encrypted")
OBJECTS = {"file": b"data", "dir/file": b"", "dir/sub/file": b"", "empty/": b"", 'quo"te/': b"", "-la": b"", "a*b": b""}

VERBS = st.sampled_from(sorted({*command_table(), *(f"SITE {name}" for name in SUBCOMMANDS)}))
PATHS = st.lists(
    st.sampled_from(
        ["file", "dir", "sub", "empty", "..", ".", "", "none", " ", '"', "-la", "-R", "*", "f?le", "[a-f]*"]
    )
    | st.text(st.characters(exclude_characters="\n"), max_size=6),
    max_size=4,
).map("/".join)
WORDS = st.sampled_from(
    [
        *("TLS", "P", "C", "ALL", "1", "A N", "L 8", "I", "S", "F", "UTF8 OFF", "MLST size;", "user", "EN"),
        *("-a", "-la dir", "-R", "-d dir", "dir -al", "--", "644 file", "0", "5", str(2**64), "-1"),
        *("127,0,0,1,PORT", "127,0,0,2,100,1", "|1|127.0.0.1|PORT|", "|2|::1|PORT|", "|1|127.0.0.1|21|"),
    ]
)
ARGUMENTS = st.just("") | PATHS | WORDS | st.text(st.characters(exclude_characters="\n"), max_size=20)
COMMANDS = st.tuples(VERBS, st.sampled_from([" ", " ", " ", "  ", ""]), ARGUMENTS).map(
    lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
)
GARBAGE = st.binary(max_size=40) | st.sampled_from(
    [b"\x16\x03\x01\x00\xa5\x01", b"GET / HTTP/1.0", b"\xff\xf4\xff\xf2"]
)
LONG = st.builds(lambda head, size: head + b"x" * size, COMMANDS, st.sampled_from([1000, 4000, 5000, 70_000]))


def spoiled(line: bytes, at: int, piece: bytes) -> bytes:
    """With something in the middle that does not belong there."""
    cut = at % (len(line) + 1)
    return line[:cut] + piece + line[cut:]


PIECES = st.sampled_from(
    [b"\xff\xf4", b"\xff\xff", b"\xff\xfb\x01", b"\x00", b"\r", b"\xe9", b"\xef\xbb\xbf", b"\t", b" "]
)
LINES = (
    st.one_of(
        COMMANDS,
        COMMANDS.map(bytes.lower),
        COMMANDS,
        st.builds(spoiled, COMMANDS, st.integers(0, 50), PIECES),
        GARBAGE,
        LONG,
    )
    .map(lambda line: line.replace(b"\n", b""))
    .flatmap(lambda line: st.sampled_from([line + b"\r\n", line + b"\n"]))
)


def config(kind: str) -> FtpConfig:
    limits = {"active_mode": True, "data_connect_timeout": 0.01, "tls_handshake_timeout": 5.0, "login_timeout": 60.0}
    return (encrypted if kind == "encrypted" else clear_text)(**limits)


async def entered(running: Running, kind: str) -> FtpClient:
    if kind != "not logged in":
        return await running.client()
    client = await running.greeted()
    await client.expect(200, "NOOP")  # what looks like TLS at the very beginning is closed without a word
    return client


async def final_replies(client: FtpClient, end: str) -> tuple[list[int], bool]:
    """The final replies up to the one to ``end``, and whether the connection was closed instead."""
    codes: list[int] = []
    while (answer := await client.reply()).code:
        if end in answer.text:
            return codes, False
        if answer.code >= 200:
            codes.append(answer.code)
    return codes, True


async def one_session(kind: str, lines: Sequence[bytes]) -> None:
    with socket.socket() as nobody:  # has a port, on which nobody listens
        nobody.bind((HOST, 0))
        number = nobody.getsockname()[1]
        async with running_server(config(kind), store=FtpStore(OBJECTS)) as running:
            client = await entered(running, kind)
            for count, line in enumerate(lines):
                end = f"ENDS{count}"  # a command that nobody knows is repeated in its reply
                text = line.replace(b",PORT", b",%d,%d" % divmod(number, 256)).replace(b"|PORT", b"|%d" % number)
                await client.wire.send(text + end.encode() + b"\r\n")
                codes, closed = await final_replies(client, end)
                if closed:
                    assert codes[-1] in (221, 421), (text, codes)
                    assert len(codes) <= 2, (text, codes)  # five wrong passwords: the last one's reply comes first
                    client = await entered(running, kind)
                else:
                    assert len(codes) == 1, (text, codes)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "batch" in metafunc.fixturenames:
        first = metafunc.config.getoption("--first-seed")
        batches = max(len(KINDS), metafunc.config.getoption("--fuzz-lines") // LINES_A_TEST)
        metafunc.parametrize("batch", range(first, first + batches), ids=lambda batch: f"seed-{batch}")


@pytest.mark.patient(300, "a session that fails is run again and again")
def test_every_line_gets_one_final_reply_or_the_connection_is_closed_with_a_word(
    batch: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    kind = KINDS[batch % len(KINDS)]

    @seed(batch)
    @settings(
        max_examples=LINES_A_TEST // LINES_A_SESSION,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(LINES, min_size=LINES_A_SESSION, max_size=LINES_A_SESSION))
    def sessions(lines: list[bytes]) -> None:
        caplog.clear()
        asyncio.run(one_session(kind, lines))
        assert not [
            record.getMessage() for record in caplog.records if record.exc_info or record.levelno > logging.WARNING
        ]

    sessions()
