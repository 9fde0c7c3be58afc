"""PASV EPSV PORT EPRT."""

from __future__ import annotations

import contextlib
import logging
import re

import pytest

from tests.support.ftp_session import (
    FOREIGN_HOST,
    KINDS,
    ActivePort,
    FtpStore,
    Wire,
    clear_text,
    encrypted,
    running_server,
    serving,
)


async def test_pasv_is_six_numbers_that_lead_to_the_port() -> None:
    async with running_server(store=FtpStore({"file": b"data"})) as running:
        client = await running.client()
        text = (await client.command("PASV")).text
        found = re.fullmatch(r"227 Entering Passive Mode \(127,0,0,1,(\d+),(\d+)\)\.", text)
        assert found is not None, text
        wire = await client.connect_data(int(found[1]) * 256 + int(found[2]))
        await client.expect(150, "RETR file")
        assert await wire.receive_all() == b"data"
        wire.close()
        assert (await client.reply()).code == 226


@pytest.mark.parametrize(("host", "told"), [("192.0.2.7", "192,0,2,7"), ("localhost", "127,0,0,1")])
async def test_pasv_tells_the_public_address(host: str, told: str) -> None:
    async with running_server(clear_text(public_host=host)) as running:
        client = await running.client()
        assert f"({told}," in (await client.command("PASV")).text


async def test_a_public_name_without_an_address_is_425_and_epsv_still_works() -> None:
    async with running_server(clear_text(public_host="none.invalid")) as running:
        client = await running.client()
        assert await client.codes("PASV", "EPSV") == [425, 229]


@pytest.mark.parametrize(
    ("argument", "code"), [("", 229), ("1", 229), (" 1 ", 229), ("2", 522), ("3", 522), ("x", 501), ("ALL", 200)]
)
async def test_epsv_arguments_never_end_the_session(argument: str, code: int) -> None:
    """D33, P15."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"EPSV {argument}", "NOOP") == [code, 200]


async def test_epsv_2_on_ipv4_names_the_protocol_to_use() -> None:
    """RFC 2428 section 3."""
    async with running_server() as running:
        client = await running.client()
        assert (await client.command("EPSV 2")).text.endswith("use (1)")


async def test_after_epsv_all_only_epsv_is_allowed() -> None:
    """RFC 2428 section 4."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("EPSV ALL", "PASV", "EPSV") == [200, 501, 229]


@pytest.mark.parametrize(("first", "second"), [("PASV", "EPSV"), ("EPSV", "EPSV"), ("EPSV", "PASV"), ("PASV", "PASV")])
async def test_a_second_data_port_replaces_the_first(first: str, second: str) -> None:
    async with running_server(store=FtpStore({"file": b"data"})) as running:
        client = await running.client()
        ports = []
        for verb in (first, second):
            numbers = re.findall(r"\d+", (await client.command(verb)).text)
            ports.append(int(numbers[-1]) if verb == "EPSV" else int(numbers[-2]) * 256 + int(numbers[-1]))
        assert ports[0] != ports[1]
        with pytest.raises(ConnectionRefusedError):
            await client.connect_data(ports[0])
        wire = await client.connect_data(ports[1])
        await client.expect(150, "RETR file")
        assert await wire.receive_all() == b"data"
        wire.close()
        assert (await client.reply()).code == 226


async def test_a_connection_to_a_replaced_port_is_dropped() -> None:
    async with running_server() as running:
        client = await running.client()
        wire = await client.connect_data()
        await client.passive_port()
        assert await wire.receive() == b""


# -- active mode ---------------------------------------------------------------------------------------------------


async def test_active_mode_is_off_by_default() -> None:
    async with running_server() as running:
        client = await running.client()
        answer = await client.command(f"PORT 127,0,0,1,{0xABCD >> 8},{0xABCD & 255}")
        assert answer.text == "502 Command PORT is switched off here."
        assert await client.codes("EPRT |1|127.0.0.1|43981|", "HELP EPRT") == [502, 502]
        assert " EPRT" not in (await client.command("FEAT")).lines
        assert "PORT" not in (await client.command("HELP")).text


async def test_active_mode_is_shown_where_it_is_on() -> None:
    async with running_server(clear_text(active_mode=True)) as running:
        client = await running.client()
        assert " EPRT" in (await client.command("FEAT")).lines
        assert await client.codes("HELP PORT") == [214]


@pytest.mark.parametrize("kind", KINDS)
async def test_files_and_listings_come_over_active_connections(kind: str) -> None:
    content = bytes(range(256)) * 10_000
    async with serving(kind, active_mode=True) as running:
        client = await running.client()
        wire = await client.open_active("STOR file")
        await wire.send(content)
        await wire.end_in_order()
        assert (await client.reply()).code == 226
        for line, expected in (("RETR file", content), ("NLST", b"file\r\n")):
            wire = await client.open_active(line)
            assert await wire.receive_all() == expected
            assert wire.ended_by == ("fin" if kind == "clear" else "close_notify")
            await wire.end_in_order()
            assert (await client.reply()).code == 226
        assert running.store.contents == {"file": content}


@pytest.mark.parametrize("which", [0, 1], ids=["EPRT", "PORT"])
async def test_port_and_eprt_lead_to_the_client(which: int) -> None:
    async with running_server(clear_text(active_mode=True), store=FtpStore({"file": b"data"})) as running:
        client = await running.client()
        with contextlib.closing(ActivePort()) as port:
            await client.expect(200, port.command[which])
            await client.expect(150, "RETR file")
            wire, _ = await port.accept()
            assert await wire.receive_all() == b"data"
            wire.close()
            assert (await client.reply()).code == 226


async def test_ipv6_has_eprt_and_no_port() -> None:
    config = clear_text(active_mode=True, hosts=("::1",))
    async with running_server(config, store=FtpStore({"file": b"data"})) as running:
        client = await running.client(host="::1")
        wire = await client.open_active("RETR file", host="::1")
        assert await wire.receive_all() == b"data"
        wire.close()
        assert (await client.reply()).code == 226
        assert await client.codes("PORT 127,0,0,1,100,1", "EPRT |1|127.0.0.1|5000|") == [504, 522]


async def test_data_connections_of_active_mode_resume_the_tls_session() -> None:
    async with running_server(encrypted(active_mode=True, require_tls_resumption=True)) as running:
        client = await running.client()
        wire = await client.open_active("STOR file")
        assert wire.tls is not None
        assert wire.tls.session_reused
        await wire.end_in_order()
        assert (await client.reply()).code == 226


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("PORT 127,0,0,2,100,1", 504),
        ("PORT 8,8,8,8,100,1", 504),
        ("PORT 0,0,0,0,100,1", 504),
        ("PORT 127,0,0,1,3,255", 504),
        ("PORT 127,0,0,1,0,21", 504),
        ("EPRT |1|127.0.0.2|5000|", 504),
        ("EPRT |1|127.0.0.1|1023|", 504),
        ("EPRT |2|::1|5000|", 522),
        ("EPRT |3|x|5000|", 522),
        ("PORT 127,0,0,1,100", 501),
        ("PORT", 501),
        ("EPRT", 501),
        ("EPRT |1|localhost|5000|", 501),
    ],
)
async def test_the_server_connects_to_the_client_alone(line: str, code: int, caplog: pytest.LogCaptureFixture) -> None:
    """P14, RFC 2577 section 3: a server that connects anywhere scans and attacks others for its users."""
    async with running_server(clear_text(active_mode=True)) as running:
        client = await running.client()
        await client.active_port()
        assert await client.codes(line, "NOOP") == [code, 200]
        if code == 504:  # nor is the address before it any more
            assert await client.codes("STOR file") == [425]
    foreign = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert bool(foreign) == (code == 504 and ("0,0,1," not in line and "0.0.1|" not in line))


async def test_a_client_at_another_address_is_reached_there() -> None:
    async with running_server(clear_text(active_mode=True, hosts=("0.0.0.0",))) as running:
        client = await running.client(source=FOREIGN_HOST)
        assert await client.codes("EPRT |1|127.0.0.1|5000|") == [504]
        wire = await client.open_active("STOR file", host=FOREIGN_HOST)
        await wire.send(b"data")
        await wire.end_in_order()
        assert (await client.reply()).code == 226
        assert running.store.contents == {"file": b"data"}


async def test_where_data_must_be_encrypted_active_mode_has_to_be_too() -> None:
    async with running_server(encrypted(active_mode=True)) as running:
        client = await running.greeted()
        await client.start_tls()
        await client.log_in()
        assert await client.codes("EPRT |1|127.0.0.1|5000|", "PORT 127,0,0,1,100,1") == [521, 521]


async def test_after_epsv_all_no_active_mode_is_allowed() -> None:
    """RFC 2428 section 4."""
    async with running_server(clear_text(active_mode=True)) as running:
        client = await running.client()
        assert await client.codes("EPSV ALL", "EPRT |1|127.0.0.1|5000|", "PORT 127,0,0,1,100,1") == [200, 501, 501]


async def test_a_client_that_takes_no_active_connection_gets_425_and_stores_nothing() -> None:
    async with running_server(clear_text(active_mode=True, data_connect_timeout=0.05)) as running:
        client = await running.client()
        port = await client.active_port()
        port.close()
        await client.expect(150, "STOR file")
        assert (await client.reply()).code == 425
        port = await client.active_port(backlog=0)
        with contextlib.closing(await Wire.connect(port.number)):
            await client.expect(150, "STOR file")
            assert (await client.reply()).code == 425
        assert await client.codes("NOOP") == [200]
        assert running.store.contents == {}


async def test_an_active_handshake_that_does_not_come_is_425() -> None:
    async with running_server(encrypted(active_mode=True, tls_handshake_timeout=0.1)) as running:
        client = await running.client()
        port = await client.active_port()
        await client.expect(150, "STOR file")
        wire, _ = await port.accept()
        running.wires.append(wire)
        assert (await client.reply()).code == 425
        assert running.store.contents == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_active_upload_that_is_cut_stores_nothing(kind: str) -> None:
    async with serving(kind, store=FtpStore({"file": b"old"}), active_mode=True) as running:
        client = await running.client()
        wire = await client.open_active("STOR file")
        await wire.send(b"new")
        wire.reset()
        assert (await client.reply()).code == 426
        wire = await client.open_active("STOR file")
        await wire.send(b"new")
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        assert running.store.contents == {"file": b"old"}


async def test_abor_while_the_client_does_not_accept_ends_the_connecting() -> None:
    async with running_server(clear_text(active_mode=True)) as running:
        client = await running.client()
        port = await client.active_port(backlog=0)
        with contextlib.closing(await Wire.connect(port.number)):
            await client.expect(150, "STOR file")
            await client.send("ABOR")
            assert await client.replies(2) == [426, 226]
        assert running.store.contents == {}


async def test_an_address_is_for_one_transfer() -> None:
    async with running_server(clear_text(active_mode=True)) as running:
        client = await running.client()
        wire = await client.open_active("STOR file")
        await wire.end_in_order()
        assert (await client.reply()).code == 226
        assert await client.codes("STOR file") == [425]


async def test_the_last_of_pasv_and_port_counts() -> None:
    async with running_server(clear_text(active_mode=True), store=FtpStore({"file": b"data"})) as running:
        client = await running.client()
        passive = await client.passive_port()
        port = await client.active_port()
        with pytest.raises(ConnectionRefusedError):
            await client.connect_data(passive)
        wire = await client.connect_data()
        await client.expect(150, "RETR file")
        assert await wire.receive_all() == b"data"
        wire.close()
        assert (await client.reply()).code == 226
        port.close()
