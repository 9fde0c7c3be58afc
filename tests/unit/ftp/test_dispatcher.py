"""Commands one at a time and in order, whatever a client sends and whenever it sends it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging

import pytest

from aioftps3.ftp.parsing import LINE_LIMIT
from aioftps3.ftp.session import MAX_WAITING_COMMANDS
from aioftps3.storage import errors
from aioftps3.storage.errors import StorageError
from tests.support.ftp_session import (
    LOGIN,
    PASSWORD,
    FtpClient,
    FtpStore,
    clear_text,
    encrypted,
    running_server,
    serving,
    until,
)

SCRIPT = (
    (f"USER {LOGIN}", 331),
    (f"PASS {PASSWORD}", 230),
    ("SYST", 215),
    ("PWD", 257),
    ("MKD a", 257),
    ("CWD a", 250),
    ("MKD b", 257),
    ("CWD b", 250),
    ("PWD", 257),
    ("TYPE I", 200),
    ("FOO", 502),
    ("RNFR none", 550),
    ("RNTO x", 503),
    ("CDUP", 250),
    ("RNFR b", 350),
    ("RNTO c", 250),
    ("CWD c", 250),
    ("SIZE x", 550),
    ("", 500),
    ("QUIT", 221),
)
CODES = [code for _, code in SCRIPT]


async def whole_session(client: FtpClient) -> list[int]:
    codes = await client.replies(len(SCRIPT))
    assert await client.at_end()
    return codes


# -- order ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("shape", [str, str.lower], ids=["as is", "lower case"])
async def test_a_whole_script_in_one_segment_is_answered_in_order(end: str, shape: type[str]) -> None:
    """D6: a pipelining client; bare LF; lower case."""
    async with running_server() as running:
        client = await running.greeted()
        lines = [shape(line) if not line.startswith("PASS") else line for line, _ in SCRIPT]
        await client.wire.send("".join(line + end for line in lines).encode())
        assert await whole_session(client) == CODES
        assert set(running.store.contents) == {"a/", "a/c/"}


async def test_a_script_byte_by_byte_gets_the_same_replies() -> None:
    async with running_server() as running:
        client = await running.greeted()
        for byte in "".join(f"{line}\r\n" for line, _ in SCRIPT).encode():
            await client.wire.send(bytes([byte]))
        assert await whole_session(client) == CODES


async def test_a_slow_store_changes_no_order() -> None:
    """D6: the next command waits until the one before it has been answered."""
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("ListObjectsV2")
        await client.send("MKD slow", "CWD slow", "MKD b", "RNFR b", "RNTO c", "PWD")
        await running.store.reached["ListObjectsV2"].wait()
        held.set()
        assert [await client.reply() for _ in range(5)][-1].code == 250
        assert '"/slow"' in (await client.reply()).text
        assert set(running.store.contents) == {"slow/", "slow/c/"}


@pytest.mark.parametrize("kind", ["clear", "tls1.2", "tls1.3"])
async def test_hundreds_of_pipelined_commands_are_all_answered(kind: str) -> None:
    async with serving(kind) as running:
        client = await running.client()
        sending = asyncio.create_task(client.send(*["PWD"] * 5000))
        assert await client.replies(5000) == [257] * 5000
        await sending


async def test_pipelined_transfers_come_one_after_the_other() -> None:
    """D6: lftp with sync-mode off; two transfers at once would give two final replies that look alike."""
    async with running_server(store=FtpStore({"a": b"A", "b": b"B"})) as running:
        client = await running.client()
        one = await client.connect_data()
        await client.send("RETR a", "EPSV", "NOOP", "RETR b")
        assert (await client.reply()).code == 150
        assert await one.receive_all() == b"A"
        one.close()
        assert (await client.reply()).code == 226
        other = await client.connect_data(int((await client.reply()).text.split("|")[3]))
        assert await client.replies(2) == [200, 150]
        assert await other.receive_all() == b"B"
        other.close()
        assert (await client.reply()).code == 226


# -- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clear", "tls1.3"])
@pytest.mark.parametrize("length", [LINE_LIMIT, 70_000, 1_000_000])
async def test_a_line_over_the_limit_is_500_and_the_session_goes_on(kind: str, length: int) -> None:
    """D26, P19."""
    async with serving(kind) as running:
        client = await running.client()
        await client.wire.send(b"CWD " + b"x" * length + b"\r\nNOOP\r\n")
        assert await client.replies(2) == [500, 200]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"CWD caf\xe9", 550),
        (b"STOR caf\xe9", 553),
        (b"MKD a\x00b", 553),
        (b"MKD a\x01b", 553),
        (b"MKD a\rb", 553),
        (b"MKD a\x7fb", 553),
        (b"MKD " + b"x" * 1100, 553),
        (b"RNTO a\x00b", 503),
        (b"DELE a\x00b", 550),
        (b"SIZE \xff\xff", 550),
        (b"\xef\xbb\xbfPWD", 500),
        (b"\x00", 500),
        (b"\xff\xf4\xff\xf2NOOP", 200),
        (b"\xff\xfb\x01\xff\xfd\x03NOOP", 200),
        (b"\xff", 500),
        (b"", 500),
        (b" ", 500),
        (b"XYZZY", 502),
        (b"GET / HTTP/1.1", 502),
        (b"\x80\x81\x82", 500),
    ],
)
async def test_strange_bytes_get_a_reply_and_the_session_goes_on(line: bytes, code: int) -> None:
    """D23, D24, D25, D28."""
    async with running_server() as running:
        client = await running.client()
        await client.connect_data()
        await client.wire.send(line + b"\r\n")
        assert (await client.reply()).code == code
        assert await client.codes("NOOP") == [200]
        assert running.store.contents == {}


async def test_strange_bytes_before_login_get_a_reply_too() -> None:
    """D23: `USER \\xe9` needs no password to end a session of others."""
    async with running_server() as running:
        client = await running.greeted()
        for line, code in ((b"USER \xe9", 331), (b"PASS \xff\xfe\x00", 530), (b"\xff\xf4\xff\xf2ABOR", 530)):
            await client.wire.send(line + b"\r\n")
            assert (await client.reply()).code == code
        await client.log_in()


async def test_bytes_that_are_not_utf8_come_back_as_they_were() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.wire.send(b"CWD caf\xe9\r\n")
        assert "caf\udce9" in (await client.reply()).text


async def test_a_name_with_blanks_at_its_ends_is_that_name() -> None:
    """D27."""
    async with running_server(store=FtpStore({"a": b"old"})) as running:
        client = await running.client()
        await client.upload("a ", b"1")
        await client.upload(" a", b"2")
        await client.upload(" ", b"3")
        assert running.store.contents == {"a": b"old", "a ": b"1", " a": b"2", " ": b"3"}


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "making"),
    [
        (errors.Unavailable(), 451, 451),
        (errors.Misconfigured(), 451, 451),
        (errors.Corrupt(), 451, 451),
        (errors.Busy(), 450, 450),
        (errors.Denied(), 550, 550),
        (errors.NameInvalid(), 550, 553),
        (errors.NotSupported(), 504, 504),
        (errors.StorageFull(), 452, 452),
        (errors.Quota(), 552, 552),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, StorageError) else "",
)
async def test_a_failing_store_is_answered_by_its_code_and_the_session_lives(
    error: StorageError, code: int, making: int
) -> None:
    async with running_server(store=FtpStore({"file": b"x", "empty/": b""})) as running:
        client = await running.client()
        running.store.fail(error)
        using = ("CWD empty", "DELE file", "RMD empty", "RNFR file", "SIZE file", "MDTM file", "MLST file", "STAT file")
        for line in using:
            assert (line, await client.codes(line)) == (line, [code])
        assert await client.codes("MKD new") == [making]
        running.store.fail(error, "no operation")
        assert await client.codes("SIZE file", "CWD empty") == [213, 250]


async def test_an_error_reply_names_the_argument_and_the_reason_and_ends_with_the_request_id() -> None:
    async with running_server() as running:
        client = await running.client()
        assert (await client.command("DELE a/b")).text == "550 a/b: no such file or directory."
        running.store.fail(errors.Unavailable("SlowDown 503", request_id="ABC"))
        answer = await client.command("DELE a/b")
        assert answer.text == "451 a/b: storage unavailable, try again later (request ABC)."


async def test_the_operator_sees_what_the_client_does_not(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as running:
        client = await running.client()
        running.store.fail(errors.Misconfigured("AccessDenied 403"))
        answer = await client.command("SIZE file")
        assert "AccessDenied" not in answer.text
    assert any("AccessDenied 403" in record.getMessage() for record in caplog.records)


async def test_an_unforeseen_error_is_451_with_an_incident(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as running:
        client = await running.client()
        running.store.fail(KeyError("surprise"))
        answer = await client.command("SIZE file")
        assert answer.code == 451
        incident = answer.text.split()[-1].rstrip(".")
        assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)
        assert await client.codes("NOOP") == [200]


async def test_a_client_that_hangs_up_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """D43, D44."""
    caplog.set_level(logging.DEBUG)
    for kind in ("clear", "tls1.3"):
        async with serving(kind) as running:
            for how in ("close", "reset"):
                client = await running.client()
                getattr(client.wire, how)()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("kind", ["clear", "tls1.2", "tls1.3"])
async def test_a_client_that_hangs_up_in_the_middle_leaves_no_exception_behind(
    kind: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """D44: whatever it was that nobody waits for any more."""
    objects = {"file": bytes(4 * 1024 * 1024)}
    async with serving(kind, store=FtpStore(objects)) as running:
        for line, moment in itertools.product(
            ("STOR new", "RETR file", "LIST"), ("before it connects", "before the handshake", "after the handshake")
        ):
            client = await running.client()
            port = await client.passive_port()
            await client.send(line)
            assert (await client.reply()).code == 150
            if moment != "before it connects":
                data = await client.connect_data(port)
                if moment == "after the handshake":
                    await client.encrypt(data)
                getattr(data, how)()
            getattr(client.wire, how)()
        # A data connection that fails before any command asks for it.
        client = await running.client()
        data = await client.connect_data()
        await client.codes("NOOP", "NOOP")
        getattr(data, how)()
        await client.codes("NOOP", "NOOP")
        getattr(client.wire, how)()
        client = await running.greeted()
        await client.send("AUTH TLS")
        getattr(client.wire, how)()
    gc.collect()
    assert not [record.getMessage() for record in caplog.records if record.name == "asyncio" or record.exc_info]


async def test_passwords_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_server(encrypted()) as running:
        client = await running.client()
        await client.codes("USER other", "PASS open sesame", "ACCT open sesame", "pass open sesame")
    assert any("> PASS ***" in record.getMessage() for record in caplog.records)
    for record in caplog.records:
        assert PASSWORD not in str(record.__dict__)
        assert "sesame" not in str(record.__dict__)


async def test_a_login_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes("USER a\r2026 root logged in\x1b[2J", "PASS x") == [331, 530]
    messages = [record.getMessage() for record in caplog.records if "login failed" in record.getMessage()]
    assert len(messages) == 1
    assert messages[0].isprintable()


# -- during a transfer ---------------------------------------------------------------------------------------------


async def test_noop_and_stat_are_answered_during_a_transfer() -> None:
    """P16: commons-net and FluentFTP keep the control connection alive so."""
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"12345")
        assert await client.codes("NOOP", "noop") == [200, 200]
        stat = await client.command("STAT")
        assert stat.code == 211
        assert any("STOR /file" in line for line in stat.lines)
        await wire.end_in_order()
        assert (await client.reply()).code == 226
        assert not any("STOR" in line for line in (await client.command("STAT")).lines)


async def test_nothing_is_answered_before_150() -> None:
    """D6: a 200 in front of the 150 would be taken for the answer to STOR."""
    async with running_server(store=FtpStore({"file": b"data"})) as running:
        client = await running.client()
        held = running.store.hold("GetObject")
        wire = await client.connect_data()
        await client.send("RETR file", "NOOP")
        await running.store.reached["GetObject"].wait()
        await client.send("STAT")
        held.set()
        assert (await client.reply()).code == 150
        assert await wire.receive_all() == b"data"
        wire.close()
        assert await client.replies(3) == [226, 200, 211]


async def test_other_commands_wait_for_the_end_of_the_transfer_in_order() -> None:
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.send("TYPE I", "PWD", "NOOP", "STAT file", "SIZE file", "CWD none")
        await wire.send(b"12345")
        await wire.end_in_order()
        assert await client.replies(7) == [226, 200, 257, 200, 213, 213, 550]


async def test_quit_during_a_transfer_waits_for_its_end() -> None:
    """RFC 959 section 4.1.1."""
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.send("QUIT")
        await wire.send(b"12345")
        await wire.end_in_order()
        assert await client.replies(2) == [226, 221]
        assert await client.at_end()
        assert running.store.contents == {"file": b"12345"}


async def test_a_bad_line_during_a_transfer_is_answered_after_it() -> None:
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.send("\x00", "x" * 5000)
        await wire.end_in_order()
        assert await client.replies(3) == [226, 500, 500]


async def test_a_flood_of_commands_during_a_transfer_is_answered_after_it() -> None:
    """Past a limit the control connection is not read: TCP holds the client back, and nothing is lost."""
    async with running_server(encrypted()) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.send(*["SYST"] * (3 * MAX_WAITING_COMMANDS))
        await wire.send(b"data")
        await wire.end_in_order()
        assert await client.replies(1 + 3 * MAX_WAITING_COMMANDS) == [226] + [215] * (3 * MAX_WAITING_COMMANDS)
        assert running.store.contents == {"file": b"data"}


async def test_a_bare_fin_behind_a_flood_of_commands_proves_nothing() -> None:
    """The control connection is not read then, so that its end would not be noticed."""
    async with running_server(clear_text()) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.send(*["SYST"] * (2 * MAX_WAITING_COMMANDS))
        await wire.send(b"data")
        await until(lambda: running.server.waiting_commands >= MAX_WAITING_COMMANDS)
        wire.close()
        assert (await client.reply()).code == 426
        assert running.store.contents == {}


async def test_commands_in_clear_text_that_wait_behind_auth_are_refused_as_injection() -> None:
    """They were read during a transfer, long before the handshake, and would be answered as if they had come in it."""
    async with running_server(clear_text()) as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        wire = await client.open_data("STOR file")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        await client.send("AUTH TLS", f"USER {LOGIN}", f"PASS {PASSWORD}")
        await until(lambda: running.server.waiting_commands >= 3)
        held.set()
        assert await client.replies(2) == [226, 421]
        assert await client.at_end()


async def test_abor_overtakes_commands_that_wait() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.open_data("STOR file")
        await client.send("SYST", "ABOR", "NOOP")
        assert await client.replies(4) == [426, 226, 215, 200]


async def test_a_new_data_port_can_be_asked_for_right_behind_abor() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.open_data("STOR file")
        await client.send("ABOR", "EPSV")
        assert await client.replies(3) == [426, 226, 229]


# -- time ----------------------------------------------------------------------------------------------------------


async def test_an_idle_session_is_sent_away_with_421() -> None:
    async with running_server(clear_text(idle_timeout=0.05)) as running:
        client = await running.client()
        assert (await client.reply()).code == 421
        assert await client.at_end()


async def test_a_transfer_is_not_idle() -> None:
    """D11: the idle time counts between two commands only."""
    async with running_server(clear_text(idle_timeout=0.1)) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        for _ in range(3):
            await asyncio.sleep(0.06)
            await wire.send(b"x")
        await wire.end_in_order()
        assert (await client.reply()).code == 226
        assert running.store.contents == {"file": b"xxx"}
        assert (await client.reply()).code == 421


async def test_who_does_not_log_in_in_time_is_sent_away() -> None:
    """D18: commands that need no login do not prolong it."""
    loop = asyncio.get_running_loop()
    async with running_server(clear_text(login_timeout=0.1)) as running:
        client = await running.greeted()
        begin = loop.time()
        codes = []
        while (answer := await client.command("NOOP")).code == 200:
            codes.append(answer.code)
            await asyncio.sleep(0.02)
        assert answer.code == 421
        assert codes
        assert loop.time() - begin < 1
        assert await client.at_end()


async def test_who_is_logged_in_has_no_login_timeout_and_a_new_login_has_all_of_it() -> None:
    """D21."""
    async with running_server(clear_text(login_timeout=0.2)) as running:
        client = await running.client()
        await asyncio.sleep(0.25)
        assert await client.codes("NOOP", f"USER {LOGIN}", f"PASS {PASSWORD}") == [200, 331, 230]
        assert await client.codes("USER other") == [331]
        assert (await client.reply()).code == 421


async def test_a_client_that_does_not_read_its_replies_is_dropped() -> None:
    async with running_server(clear_text(stall_timeout=0.1)) as running:
        client = await running.client(receive_buffer=4096)
        sending = asyncio.create_task(client.send(*["HELP"] * 40_000))
        await asyncio.wait([sending])
        await asyncio.gather(sending, return_exceptions=True)
        await running.server.drain(5)
        assert running.server.sessions == 0


async def test_a_data_port_is_given_back_when_its_transfer_fails_for_its_name() -> None:
    async with running_server(clear_text(data_ports=())) as running:
        client = await running.client()
        assert await client.codes("PASV", "STOR a\x01b", "STOR a") == [227, 553, 425]


async def test_what_follows_an_unknown_command_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A mistyped PASS has a password behind it, too."""
    caplog.set_level("DEBUG")
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("PASSWD hunter2", "PASS hunter2") == [502, 503]
    assert "hunter2" not in caplog.text
    assert "> PASSWD ***" in caplog.text
