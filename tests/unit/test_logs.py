import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from aioftps3 import logs

SECRET = "wJalrXUtnFEMI/K7MDENG"
log = logging.getLogger("aioftps3.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b1m", "\\x9b1m"),
        ("a\u2028b\u202ec", "a\\u2028b\\u202ec"),
        ("\udcff", "\\udcff"),
        ("é 日本", "é 日本"),
    ],
)
def test_unsafe_characters_are_escaped(text: str, escaped: str) -> None:
    assert logs.escape(text) == escaped


def test_a_record_is_one_line_of_text_whatever_a_client_sends(stream: io.StringIO) -> None:
    logs.configure("info", json_lines=False, stream=stream)
    log.info("command %s", "STOR a\n2026-01-01T00:00:00.000Z ERROR forged")
    assert stream.getvalue().count("\n") == 1
    assert " INFO [-] aioftps3.test: command STOR a\\x0a2026" in stream.getvalue()


def test_lines_carry_the_session_also_from_its_tasks(stream: io.StringIO) -> None:
    logs.configure("info", json_lines=False, stream=stream)

    async def work() -> None:
        log.info("at work")

    async def serve() -> None:
        with logs.session_logs("cafe"):
            task = asyncio.create_task(work())
        log.info("outside")
        await task

    asyncio.run(serve())
    outside, inside = stream.getvalue().splitlines()
    assert "[cafe] aioftps3.test: at work" in inside
    assert "[-] aioftps3.test: outside" in outside


def test_an_adapter_may_name_the_session_and_the_peer(stream: io.StringIO) -> None:
    adapter = logging.LoggerAdapter(log, {"session": "beef", "peer": "192.0.2.1"})
    logs.configure("info", json_lines=False, stream=stream)
    adapter.info("text")
    logs.configure("info", json_lines=True, stream=stream)
    adapter.info("json")
    text, record = stream.getvalue().splitlines()
    assert "[beef] aioftps3.test: text" in text
    assert (json.loads(record)["session"], json.loads(record)["peer"]) == ("beef", "192.0.2.1")


def test_json_lines_hold_the_same_facts(stream: io.StringIO) -> None:
    logs.configure("info", json_lines=True, stream=stream)
    with logs.session_logs("cafe"):
        log.warning("name %s", "é\n\udcff")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record == {"level": "WARNING", "session": "cafe", "logger": "aioftps3.test", "message": "name é\n\udcff"}


@pytest.mark.parametrize("json_lines", [True, False])
def test_secrets_are_blotted_out_also_in_tracebacks(stream: io.StringIO, json_lines: bool) -> None:
    logs.configure("info", json_lines=json_lines, blotted=[SECRET, "short", ""], stream=stream)
    try:
        raise ValueError(f"bad key {SECRET}")
    except ValueError:
        log.exception("with %s and short", SECRET)
    assert SECRET not in stream.getvalue()
    assert "with **** and short" in stream.getvalue()
    assert "bad key ****" in stream.getvalue()


def test_lines_of_a_traceback_are_indented(stream: io.StringIO) -> None:
    logs.configure("info", json_lines=False, stream=stream)
    try:
        raise ValueError("first\nsecond\x1b[2J")
    except ValueError:
        log.exception("failed")
    _, *traceback = stream.getvalue().splitlines()
    assert traceback
    assert all(line.startswith("    ") for line in traceback)
    assert "\x1b" not in stream.getvalue()


def test_the_level_is_kept(stream: io.StringIO) -> None:
    logs.configure("warning", json_lines=False, stream=stream)
    log.info("quiet")
    assert stream.getvalue() == ""
