"""Clients that do not run here, replayed: what they send, in their order, and the replies that they insist on.

The sessions come from the clients' sources (WinSCP, Cyberduck, FluentFTP, .NET) and from reports about them (ftp.exe
and Explorer of Windows, Total Commander, scanners, cameras). `Quirks` say how a client treats its data connections.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import pytest

from tests.support.ftp_session import (
    HOST,
    LOGIN,
    PASSWORD,
    ActivePort,
    Answer,
    FtpClient,
    Wire,
    encrypted,
    running_server,
)
from tests.support.ftp_session import clear_text as in_clear

FILE = bytes(range(256)) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How a client treats its data connections."""

    port: str = "PASV"
    """PASV, EPSV or PORT."""
    connects_late: bool = False
    """Whether it connects only when it has seen the 150."""
    handshake_first: bool = False
    """Whether it begins with TLS before it sees the 150."""
    resumes: bool = True
    """Whether its data connections resume the TLS session of the control connection."""
    says_goodbye: bool = True
    """Whether it ends its uploads with close_notify."""


async def _say(client: FtpClient, *exchanges: tuple[str, int]) -> Answer:
    """Send commands one by one, each of which has to be answered so; the last answer."""
    answer = Answer(0, ())
    for line, code in exchanges:
        answer = await client.expect(code, line)
    return answer


async def _passive(client: FtpClient, command: str) -> int:
    if command == "EPSV":
        return await client.passive_port()
    told = re.search(r"\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)", (await client.expect(227, command)).text)
    assert told is not None
    assert ".".join(told.groups()[:4]) == HOST
    return int(told[5]) * 256 + int(told[6])


async def _encrypt(client: FtpClient, data: Wire, quirks: Quirks) -> None:
    if client.protected:
        assert client.wire.tls is not None
        await data.start_tls(client.context, session=client.wire.tls.session if quirks.resumes else None)


async def _open(client: FtpClient, line: str, quirks: Quirks) -> tuple[Wire, Answer]:
    """The data connection of a transfer, after its 150."""
    if quirks.port == "PORT":
        port = ActivePort()
        client.running.wires.append(port)
        await client.expect(200, port.command[1])
        begun = await client.expect(150, line)
        data, _ = await port.accept()
        port.close()
        client.running.wires.append(data)
    else:
        number = await _passive(client, quirks.port)
        data_wanted = None if quirks.connects_late else await client.connect_data(number)
        await client.send(line)
        if quirks.handshake_first and data_wanted is not None:
            await _encrypt(client, data_wanted, quirks)
        begun = await client.reply()
        assert begun.code == 150, begun
        data = data_wanted or await client.connect_data(number)
    if data.tls is None:
        await _encrypt(client, data, quirks)
    return data, begun


async def _fetch(client: FtpClient, line: str, quirks: Quirks) -> str:
    """A download or a listing; the clients end theirs by closing the socket."""
    data, _ = await _open(client, line, quirks)
    received = await data.receive_all()
    data.close()
    assert (await client.reply()).code == 226
    return received.decode("latin-1")


async def _send(client: FtpClient, line: str, quirks: Quirks, content: bytes = FILE) -> Answer:
    """An upload; its 150."""
    data, begun = await _open(client, line, quirks)
    await data.send(content)
    if data.tls is not None and quirks.says_goodbye:
        await data.close_notify()
    data.close()
    assert (await client.reply()).code == 226
    return begun


def _features(answer: Answer) -> set[str]:
    """FEAT's lines as the clients compare them: whole, without the blank in front."""
    assert all(line.startswith(" ") and not line.endswith(" ") for line in answer.lines[1:-1])
    return {line[1:] for line in answer.lines[1:-1]}


async def test_winscp_sends_its_command_before_it_connects_for_the_data() -> None:
    quirks = Quirks(connects_late=True)
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.start_tls()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("SYST", 215))
        features = _features(await client.expect(211, "FEAT"))
        # It wants these lines to be nothing but the word.
        assert {"MDTM", "UTF8", "SIZE", "REST STREAM", "CLNT"} <= features
        assert not any(re.match(r"(?:MDTM|UTF8|MFMT|MLSD) ", feature) for feature in features)
        await _say(client, ("CLNT WinSCP-release-6.3", 200), ("OPTS UTF8 ON", 200), ("PBSZ 0", 200), ("PROT P", 200))
        client.protected = True
        assert (await _say(client, ("PWD", 257))).lines == ('257 "/" is the current directory',)
        await _say(client, ("MKD /d", 257), ("CWD /d", 250), ("PWD", 257), ("TYPE A", 200))
        assert await _fetch(client, "MLSD", quirks) == ""
        assert await _fetch(client, "LIST -a", quirks) == ""
        await _say(client, ("TYPE I", 200))
        await _send(client, "STOR file.filepart", quirks)
        await _say(client, ("RNFR file.filepart", 350), ("RNTO file", 250))
        assert "size=256000;" in (await _say(client, ("MLST /d/file", 250))).text
        await _say(client, ("SIZE /d/file", 213), ("MDTM /d/file", 213))
        # These are its signs of life, one of them each half a minute.
        await _say(client, ("PWD", 257), ("REST 0", 350), ("TYPE A", 200), ("TYPE I", 200))
        assert await _fetch(client, "RETR file", quirks) == FILE.decode("latin-1")
        assert await _fetch(client, "LIST -a /d", quirks) != ""
        await _say(client, ("DELE /d/file", 250), ("RMD /d", 250), ("QUIT", 221))


async def test_winscp_keeps_times_copies_and_compares_hashes_where_feat_says_so() -> None:
    quirks = Quirks(connects_late=True)
    async with running_server(encrypted(client_times=True, hashes=("SHA-256",))) as running:
        client = await running.client()
        features = _features(await client.expect(211, "FEAT"))
        assert {"MFMT", "SITE COPY", "AVBL", "HASH SHA-256*;", "XSHA256"} <= features
        await _say(client, ("TYPE I", 200), ("MKD /d", 257), ("CWD /d", 250))
        await _send(client, "STOR file.filepart", quirks)
        await _say(client, ("RNFR file.filepart", 350), ("RNTO file", 250))
        assert (await _say(client, ("MFMT 20200913122640 file", 213))).text == "213 Modify=20200913122640; file"
        await _say(client, ("SITE CPFR file", 350), ("SITE CPTO copy", 250), ("SIZE copy", 213))
        assert (await _say(client, ("MDTM copy", 213))).text == "213 20200913122640"
        digest = hashlib.sha256(FILE).hexdigest()
        await _say(client, ("OPTS HASH SHA-256", 200))
        assert (await _say(client, ("HASH copy", 213))).text == f"213 SHA-256 0-256000 {digest} copy"
        assert (await _say(client, ("XSHA256 copy", 250))).text == f"250 {digest}"
        assert int((await _say(client, ("AVBL /d", 213))).text[4:]) > 0


async def test_winscp_goes_on_where_no_times_are_kept() -> None:
    quirks = Quirks(connects_late=True)
    async with running_server(encrypted()) as running:
        client = await running.client()
        await _send(client, "STOR file", quirks)
        # Without MFMT in FEAT it tries this form, and takes any refusal.
        await _say(client, ("MDTM 20200913122640 file", 550), ("SIZE file", 213))
        assert running.store.contents == {"file": FILE}


async def test_winscp_asks_for_resumed_uploads_before_it_resumes_one() -> None:
    quirks = Quirks(connects_late=True)
    async with running_server(encrypted()) as running:
        client = await running.client()
        await _say(client, ("TYPE I", 200))
        await _send(client, "STOR file", quirks, FILE[:100_000])
        await _say(client, ("OPTS REST STOR", 200), ("REST 100000", 350))
        await _send(client, "STOR file", quirks, FILE[100_000:])
        assert await client.download("RETR file") == FILE


async def test_cyberduck_uploads_under_another_name_and_renames_over_the_old_file() -> None:
    quirks = Quirks()
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.start_tls()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("PBSZ 0", 200), ("PROT P", 200))
        client.protected = True
        features = _features(await _say(client, ("OPTS UTF8 ON", 200), ("SYST", 215), ("FEAT", 211)))
        assert any(feature.startswith("MLST type*;") for feature in features)
        await _say(client, ("PWD", 257), ("TYPE I", 200), ("MKD /d", 257))
        await _send(client, "STOR /d/file", quirks, b"old")
        await _say(client, (f"ALLO {len(FILE)}", 200))
        await _send(client, "STOR /d/file-temporary", quirks)
        await _say(client, ("SITE CHMOD 644 /d/file-temporary", 200))
        await _say(client, ("RNFR /d/file-temporary", 350), ("RNTO /d/file", 250))
        listing = await _fetch(client, "MLSD /d", quirks)
        # It lower-cases the facts, and drops lines without a type.
        assert re.fullmatch(r"type=file;size=256000;modify=\d{14};\S* file\r\n", listing)
        # Without MLSD it would go on with these.
        assert "file" in (await client.command("STAT /d")).text
        assert "file" in await _fetch(client, "LIST -a /d", quirks)
        await _say(client, ("REST 1000", 350))
        assert await _fetch(client, "RETR /d/file", quirks) == FILE[1000:].decode("latin-1")
        # A transfer that was cut goes on by APPE; times are refused here, which is no failure for it.
        await _send(client, "APPE /d/file", quirks, b"more")
        assert running.store.contents["d/file"] == FILE + b"more"
        await _say(client, ("SITE UTIME 20200913122640 /d/file", 504), ("QUIT", 221))


async def test_fluentftp_says_noop_while_a_transfer_runs() -> None:
    quirks = Quirks(port="EPSV", resumes=False)
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await _say(client, ("HOST localhost", 220))
        await client.start_tls()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("PBSZ 0", 200), ("PROT P", 200))
        client.protected = True
        await _say(client, ("FEAT", 211), ("OPTS UTF8 ON", 200), ("SYST", 215), ("PWD", 257), ("TYPE I", 200))
        # It asks whether a file is there by SIZE and MDTM, and makes directories one by one.
        await _say(client, ("SIZE /d/file", 550), ("MDTM /d/file", 550), ("CWD /d", 550), ("MKD /d", 257))
        assert await _fetch(client, "NLST /d", quirks) == ""
        data, _ = await _open(client, "STOR /d/file", quirks)
        await data.send(FILE[:1000])
        await _say(client, ("NOOP", 200))
        await data.send(FILE[1000:])
        await _say(client, ("NOOP", 200))
        await data.end_in_order()
        assert (await client.reply()).code == 226
        await _say(client, ("NOOP", 200), ("SIZE /d/file", 213), ("SITE CHMOD 644 /d/file", 200))
        for line in ("LIST -a /d", "LIST /d", "NLST /d", "MLSD /d"):
            assert "file" in await _fetch(client, line, quirks)
        assert (await _say(client, ("MKD /d", 550))).text.count("already exists") == 1
        await _send(client, "APPE /d/file", quirks, b"more")
        assert (await _say(client, ("SIZE /d/file", 213))).text == f"213 {len(FILE) + 4}"
        # Of a tree it takes one listing with headings.
        await _say(client, ("MKD /d/sub", 257))
        rows = await _fetch(client, "LIST /d", quirks)
        for line in ("LIST -R /d", "LIST -aR /d"):
            assert await _fetch(client, line, quirks) == f"/d:\r\n{rows}\r\n/d/sub:\r\n"
        assert "file" in (await client.command("STAT -l /d")).text
        await _say(client, ("CCC", 534), ("PWD", 257), ("RMD /d/sub", 250))
        await _say(client, ("DELE /d/file", 250), ("RMD /d", 250), ("QUIT", 221))


async def test_dotnet_asks_for_sizes_without_a_type_and_reads_the_size_from_the_150() -> None:
    quirks = Quirks(resumes=False)
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.start_tls()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("PBSZ 0", 200), ("PROT P", 200))
        client.protected = True
        # Anything but 2xx makes it speak Windows' code page from here on.
        await _say(client, ("OPTS utf8 on", 200), ("PWD", 257), ("MKD d", 257), ("CWD /d", 250), ("TYPE I", 200))
        await _send(client, "STOR file", quirks)
        data, begun = await _open(client, "RETR file", quirks)
        assert re.search(r"\(256000 bytes\)\.$", begun.text)
        assert await data.receive_all() == FILE
        data.close()
        assert (await client.reply()).code == 226
        begun = await _send(client, "STOU", quirks)
        # What stands behind the first "for", up to the last bracket if there is one, it takes for the new name.
        assert "(" not in begun.text
        name = begun.text.partition("for ")[2].rstrip(" .\r\n")
        assert running.store.contents[f"d/{name}"] == FILE
        await _say(client, ("QUIT", 221))
        client = await running.client()
        assert (await _say(client, ("SIZE /d/file", 213))).text == "213 256000"
        await _say(client, ("MDTM /d/file", 213), ("RNFR /d/file", 350), ("RNTO /d/other", 250), ("QUIT", 221))


async def test_windows_ftp_exe_begins_with_opts_and_lets_the_server_connect() -> None:
    quirks = Quirks(port="PORT")
    async with running_server(in_clear(active_mode=True)) as running:
        client = await running.greeted()
        # Whatever is said to its OPTS, it goes on, as long as the session does.
        assert (await client.command("OPTS UTF8 ON")).code in (200, 501, 530)
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("XPWD", 257), ("XMKD d", 257))
        await _say(client, ("CWD d", 250))
        await _send(client, "STOR text.txt", quirks)
        await _say(client, ("TYPE I", 200))
        await _send(client, "STOR file.bin", quirks)
        assert await _fetch(client, "NLST", quirks) == "file.bin\r\ntext.txt\r\n"
        assert "file.bin" in await _fetch(client, "LIST", quirks)
        assert await _fetch(client, "NLST *.bin", quirks) == "file.bin\r\n"
        assert await _fetch(client, "RETR file.bin", quirks) == FILE.decode("latin-1")
        await _say(client, ("DELE file.bin", 250), ("DELE text.txt", 250), ("CWD ..", 250), ("XRMD d", 250))
        await _say(client, ("QUIT", 221))


async def test_windows_explorer_speaks_in_small_letters_and_asks_for_site_help() -> None:
    quirks = Quirks()
    async with running_server(in_clear()) as running:
        client = await running.greeted()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("opts utf8 on", 200), ("syst", 215))
        assert (await client.command("site help")).code in (200, 214, 500, 502)
        await _say(client, ("PWD", 257), ("noop", 200), ("CWD /", 250), ("TYPE A", 200))
        assert await _fetch(client, "LIST", quirks) == ""
        await _say(client, ("MKD New folder", 257), ("RNFR New folder", 350), ("RNTO Bilder \N{SNOWMAN}", 250))
        await _say(client, ("CWD /Bilder \N{SNOWMAN}/", 250), ("TYPE I", 200))
        await _send(client, "STOR file", quirks)
        line = (await _fetch(client, "LIST", quirks)).removesuffix("\r\n")
        # It reads the nine columns of `ls -l` and nothing else.
        assert re.fullmatch(r"-rw[-rwx]{7} +\d+ \S+ +\S+ +256000 \w{3} [ \d]\d (\d\d:\d\d| \d{4}) file", line)
        await _say(client, ("noop", 200), ("DELE file", 250), ("QUIT", 221))


async def test_total_commander_probes_rest_and_lists_with_options() -> None:
    quirks = Quirks(handshake_first=True)
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.start_tls()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("SYST", 215), ("FEAT", 211))
        await _say(client, ("OPTS UTF8 ON", 200), ("PBSZ 0", 200), ("PROT P", 200), ("PWD", 257))
        client.protected = True
        # The probe of FlashFXP, too: what follows has to begin at 0 again.
        await _say(client, ("TYPE I", 200), ("REST 100", 350), ("REST 0", 350), ("CWD /", 250), ("TYPE A", 200))
        assert await _fetch(client, "LIST -al", quirks) == ""
        await _say(client, ("TYPE I", 200))
        await _send(client, "STOR file", quirks)
        assert "256000" in await _fetch(client, "LIST -al", quirks)
        assert "256000" in await _fetch(client, "LIST -l", quirks)
        assert await _fetch(client, "RETR file", quirks) == FILE.decode("latin-1")
        await _say(client, ("QUIT", 221))


@pytest.mark.parametrize("port", ["PASV", "PORT"])
async def test_a_scanner_writes_below_doubled_slashes(port: str) -> None:
    quirks = Quirks(port=port)
    async with running_server(in_clear(active_mode=True)) as running:
        client = await running.greeted()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("TYPE I", 200), ("CWD //scans", 550))
        await _say(client, ("MKD //scans", 257), ("CWD //scans//", 250), ("PWD", 257))
        await _send(client, "STOR scan0001.pdf", quirks)
        assert running.store.contents["scans/scan0001.pdf"] == FILE
        await _say(client, ("CWD /", 250))
        await _send(client, "STOR //scans//scan0002.pdf", quirks)
        assert running.store.contents["scans/scan0002.pdf"] == FILE
        begun = await _send(client, "STOU", quirks)
        name = begun.lines[0].removeprefix("150-FILE: ")
        assert running.store.contents[name] == FILE
        await _say(client, ("QUIT", 221))


async def test_a_camera_announces_sizes_and_takes_nothing_but_200() -> None:
    quirks = Quirks()
    async with running_server(in_clear()) as running:
        client = await running.greeted()
        await _say(client, (f"USER {LOGIN}", 331), (f"PASS {PASSWORD}", 230), ("TYPE I", 200), ("MKD /cam1", 257))
        # It makes the directory again before each picture, and goes on when that is refused.
        await _say(client, ("MKD /cam1", 550), ("CWD /cam1", 250))
        for number in range(2):
            await _say(client, (f"ALLO {len(FILE)}", 200))
            await _send(client, f"STOR picture{number}.jpg", quirks)
        # Some announce nothing, or what they do not know.
        await _say(client, ("ALLO 0", 200))
        await _send(client, "STOR picture2.jpg", quirks)
        await _say(client, ("RNFR picture2.jpg", 350), ("RNTO picture0.jpg", 250), ("QUIT", 221))
        names = {key for key in running.store.contents if not key.endswith("/")}
        assert names == {"cam1/picture0.jpg", "cam1/picture1.jpg"}


async def test_a_camera_speaks_in_small_letters_and_ends_without_goodbye() -> None:
    quirks = Quirks(port="EPSV", resumes=False, says_goodbye=False)
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.start_tls()
        await _say(client, (f"user {LOGIN}", 331), (f"pass {PASSWORD}", 230), ("pbsz 0", 200), ("prot P", 200))
        client.protected = True
        await _say(client, ("type I", 200), ("mkd 2026", 257), ("cwd 2026", 250), ("mkd 11", 257), ("cwd 11", 250))
        await _send(client, "stor clip.mp4", quirks)
        await _say(client, ("site chmod 777 clip.mp4", 200), ("size clip.mp4", 213))
        assert running.store.contents["2026/11/clip.mp4"] == FILE
        await _say(client, ("quit", 221))
