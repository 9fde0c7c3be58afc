"""PASV EPSV REST ALLO ABOR; RETR and STOR are in tests/unit/ftp/test_transfer.py."""

from __future__ import annotations

import re

import pytest

from tests.support.ftp_session import HOST, FtpStore, clear_text, running_server


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


@pytest.mark.parametrize("argument", ["", "x", "-1", "1.5", str(2**64), "1 2"])
async def test_rest_of_what_is_no_position_is_501(argument: str) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"REST {argument}") == [501]


@pytest.mark.parametrize(("argument", "code"), [("5", 200), ("5 R 5", 200), ("", 501), ("x", 501), ("-5", 501)])
async def test_allo(argument: str, code: int) -> None:
    """Dahua's cameras quit on 202."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"ALLO {argument}") == [code]


async def test_abor_with_nothing_to_abort_is_226() -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("ABOR", "NOOP") == [226, 200]


async def test_abor_after_a_transfer_does_not_touch_it() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.upload("file", b"data")
        assert await client.codes("ABOR") == [226]
        assert running.store.contents == {"file": b"data"}


@pytest.mark.parametrize(
    ("line", "code"), [("STOR", 501), ("RETR", 501), ("STOR /", 553), ("STOR a/", 553), ("RETR /", 550)]
)
async def test_transfers_need_a_files_name(line: str, code: int) -> None:
    async with running_server() as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes(line, "NOOP") == [code, 200]


@pytest.mark.parametrize("name", ["a\x01", "x" * 1100])
async def test_a_name_that_s3_cannot_hold_is_553(name: str) -> None:
    async with running_server() as running:
        client = await running.client()
        await client.connect_data(host=HOST)
        assert await client.codes(f"STOR {name}", "NOOP") == [553, 200]
        assert running.store.requests == []


async def test_a_directory_cannot_be_downloaded() -> None:
    async with running_server(store=FtpStore({"dir/file": b""})) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes("RETR dir") == [550]
