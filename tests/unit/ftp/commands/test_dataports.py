"""PASV EPSV."""

from __future__ import annotations

import re

import pytest

from tests.support.ftp_session import FtpStore, clear_text, running_server


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
    """D33."""
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
