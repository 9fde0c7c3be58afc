import asyncio
import contextlib
import re
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

WAIT_SECONDS = 15


@dataclass
class Demo:
    process: asyncio.subprocess.Process
    manual: str

    def value(self, name: str) -> str:
        match = re.search(rf"^  {name} +(\S+)", self.manual, re.MULTILINE)
        assert match, self.manual
        return match[1]

    async def interrupted(self, number: signal.Signals = signal.SIGINT) -> tuple[int | None, str]:
        self.process.send_signal(number)
        async with asyncio.timeout(WAIT_SECONDS):
            _, err = await self.process.communicate()
        return self.process.returncode, err.decode()


@asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aioftps3", "demo", *arguments, stdout=-1, stderr=-1
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        async with asyncio.timeout(WAIT_SECONDS):
            while not lines or (lines[-1] and not lines[-1].startswith("ready ")):
                lines.append((await process.stdout.readline()).decode())
        yield Demo(process, "".join(lines))
    finally:
        try:
            if process.returncode is None:
                process.terminate()  # not killed: it removes its files
            async with asyncio.timeout(WAIT_SECONDS):
                await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()


async def client(*command: str, cwd: Path | None = None) -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=-1, stderr=-1)
    async with asyncio.timeout(WAIT_SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
async def test_ctrl_c_and_a_closed_terminal_stop_it_cleanly(number: signal.Signals) -> None:
    async with demo() as running:
        certificate = Path(running.value("certificate"))
        assert "BEGIN CERTIFICATE" in await asyncio.to_thread(certificate.read_text)
        code, err = await running.interrupted(number)
    assert code == 0
    assert "Traceback" not in err
    assert " ERROR " not in err
    assert " WARNING " not in err
    assert not certificate.parent.exists()


async def test_it_needs_no_configuration_and_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOFTPS3_PORT", "nonsense")
    monkeypatch.setenv("AWS_S3_BUCKET_HOST", "https://nonsense.invalid")
    async with demo() as running:
        assert running.value("host") == "127.0.0.1"


async def test_the_lines_for_python_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("read me")
    async with demo() as running:
        script = "\n".join(
            line[2:] for line in running.manual.partition("Python:\n")[2].splitlines() if line[:2] == "  "
        )
        assert "('README.md', {" in await client(
            sys.executable, "-W", "ignore::ResourceWarning", "-c", script, cwd=tmp_path
        )


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_the_lines_for_curl_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("read me")
    async with demo() as running:
        upload, download = re.findall(r"^  (curl .*)$", running.manual, re.MULTILINE)
        await client(*shlex.split(upload), cwd=tmp_path)
        assert await client(*shlex.split(download)) == "read me"


@pytest.mark.skipif(not shutil.which("lftp"), reason="lftp is not installed")
async def test_the_lines_for_lftp_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("read me")
    async with demo() as running:
        lines = re.findall(r"^  (lftp .*)$", running.manual, re.MULTILINE)
        assert len(lines) == 2
        for line in lines:
            *words, settings, url = shlex.split(line)
            listing = await client(*words, f"{settings}; put README.md; cls; bye", url, cwd=tmp_path)
            assert "README.md" in listing


async def test_a_directory_keeps_the_files(tmp_path: Path) -> None:
    for expected in ("[]", "['file']"):
        async with demo("--directory", str(tmp_path / "files")) as running:
            script = (
                "import ftplib, io, ssl;"
                f"ftp = ftplib.FTP_TLS(context=ssl.create_default_context(cafile={running.value('certificate')!r}));"
                f"ftp.connect('127.0.0.1', {running.value('port')});"
                f"ftp.login('demo', {running.value('password')!r}); ftp.prot_p();"
                "print(ftp.nlst()); ftp.storbinary('STOR file', io.BytesIO(b'kept')); ftp.quit()"
            )
            assert (await client(sys.executable, "-c", script)).strip() == expected
            code, err = await running.interrupted()
            assert code == 0, err


async def test_a_directory_that_cannot_be_used_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aioftps3", "demo", "--directory", str(tmp_path / "file"), stdout=-1, stderr=-1
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"the files cannot be kept there" in err
    assert b"Traceback" not in err


async def test_other_ports_are_taken_when_the_usual_ones_are() -> None:
    with socket.socket() as taken:
        # Without this, connections of an earlier test that only wait for their end would look like somebody listening.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # taken by somebody else does as well
            taken.bind(("127.0.0.1", 8021))
            taken.listen()
        async with demo() as running:
            assert "free ones are used" in running.manual
            assert running.value("port") != "8021"
