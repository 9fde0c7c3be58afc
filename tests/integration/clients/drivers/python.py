"""The two clients that are Python: ftplib, and aioftp's own."""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import ftplib
import gc
import importlib.metadata
import platform
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import aioftp

from tests.integration.clients.client import Client, ClientFailed, Cost
from tests.support.clients import SOCKET_SECONDS, connect
from tests.support.daemon import HOST

__all__ = ("AioftpClient", "Ftplib")

BLOCK = 256 * 1024
T = TypeVar("T")


def _seconds(stamp: str) -> float:
    return float(calendar.timegm(time.strptime(stamp, "%Y%m%d%H%M%S")))


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))


_TREES = dict.fromkeys(("mirror up", "mirror down", "mirror up again", "mirror down again"), "it has no call for trees")


class Ftplib(Client):
    """The standard library's."""

    name = "ftplib"
    source = "Python's standard library"
    core = True
    resumes = "none"
    cannot = _TREES

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def version(cls) -> str:
        return platform.python_version()

    @contextlib.contextmanager
    def _session(self) -> Iterator[ftplib.FTP]:
        try:
            with contextlib.closing(self._connected()) as session:
                yield session
                session.quit()
        except ftplib.all_errors as error:
            raise ClientFailed(str(error)) from error

    def _connected(self) -> ftplib.FTP:
        if self.access.encrypted:
            return connect(self.access)
        session = ftplib.FTP(timeout=SOCKET_SECONDS)
        try:
            session.connect(HOST, self.access.port)
            session.login(self.access.login, self.access.password)
        except BaseException:
            session.close()
            raise
        return session

    def list(self, directory: str) -> Sequence[str]:
        with self._session() as ftp:
            return [name for name, _ in ftp.mlsd(directory)]

    def put(self, local: Path, remote: str) -> None:
        with self._session() as ftp, local.open("rb") as file:
            ftp.storbinary(f"STOR {remote}", file, BLOCK)

    def get(self, remote: str, local: Path) -> None:
        with self._session() as ftp, local.open("wb") as file:
            ftp.retrbinary(f"RETR {remote}", file.write, BLOCK)

    def resume_get(self, remote: str, local: Path) -> None:
        with self._session() as ftp, local.open("ab") as file:
            ftp.retrbinary(f"RETR {remote}", file.write, BLOCK, rest=file.tell())

    def resume_put(self, local: Path, remote: str) -> None:
        with self._session() as ftp, local.open("rb") as file:
            ftp.voidcmd("TYPE I")
            there = ftp.size(remote) or 0
            file.seek(there)
            ftp.storbinary(f"STOR {remote}", file, BLOCK, rest=there)

    def append(self, local: Path, remote: str) -> None:
        with self._session() as ftp, local.open("rb") as file:
            ftp.storbinary(f"APPE {remote}", file, BLOCK)

    def rename(self, old: str, new: str) -> None:
        with self._session() as ftp:
            ftp.rename(old, new)

    def make_directory(self, path: str) -> None:
        with self._session() as ftp:
            ftp.mkd(path)

    def remove_directory(self, path: str) -> None:
        with self._session() as ftp:
            ftp.rmd(path)

    def delete(self, path: str) -> None:
        with self._session() as ftp:
            ftp.delete(path)

    def get_time(self, remote: str, local: Path) -> float:
        with self._session() as ftp:
            return _seconds(ftp.voidcmd(f"MDTM {remote}").split()[1])

    def put_time(self, local: Path, remote: str) -> None:
        with self._session() as ftp, local.open("rb") as file:
            ftp.storbinary(f"STOR {remote}", file, BLOCK)
            ftp.voidcmd(f"MFMT {_stamp(local.stat().st_mtime)} {remote}")

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        with self._session() as ftp:
            for local, remote in files.items():
                with local.open("rb") as file:
                    ftp.storbinary(f"STOR {remote}", file, BLOCK)
            list(ftp.mlsd(directory))
            for local, remote in files.items():
                with (back / local.name).open("wb") as file:
                    ftp.retrbinary(f"RETR {remote}", file.write, BLOCK)

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        with self._session() as ftp, local.open("wb") as file:
            ftp.voidcmd("TYPE I")
            with ftp.transfercmd(f"RETR {remote}") as data:
                data.recv(1000)
                ftp.abort()
                ftp.voidresp()
            ftp.retrbinary(f"RETR {after}", file.write, BLOCK)

    def abort_put(self, local: Path, remote: str, after: Path, after_remote: str) -> None:
        with self._session() as ftp, after.open("rb") as file:
            ftp.voidcmd("TYPE I")
            with ftp.transfercmd(f"STOR {remote}") as data:
                data.sendall(local.read_bytes()[: 9 * 1024 * 1024])
                ftp.abort()
                ftp.voidresp()
            ftp.storbinary(f"STOR {after_remote}", file, BLOCK)


class AioftpClient(Client):
    """aioftp's client, of the version that the server stands on."""

    name = "aioftp"
    source = "PyPI aioftp"
    core = True
    cannot = {
        "mirror up again": "it compares nothing",
        "mirror down again": "it compares nothing",
        "time up": "it sends no times",
        "name: blank last": "it cuts blanks off the ends of listings' lines",
    }
    costs = {
        "make_directory": Cost(refused=1),  # it looks first whether it is there
        "mirror_up": Cost(data=10, refused=3, commands=60),
    }

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def version(cls) -> str:
        return importlib.metadata.version("aioftp")

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[aioftp.Client]:
        tls = ssl.create_default_context(cafile=str(self.access.certificate))
        implicit = tls if self.access.implicit else None
        client = aioftp.Client(socket_timeout=SOCKET_SECONDS, encoding="utf-8", ssl=implicit)
        await client.connect(HOST, self.access.port)
        try:
            if self.access.encrypted and implicit is None:
                await client.upgrade_to_tls(tls)
            await client.login(self.access.login, self.access.password)
            yield client
            await client.quit()
        finally:
            client.close()

    def _run(self, act: Callable[[aioftp.Client], Awaitable[T]]) -> T:
        async def session() -> T:
            async with self._session() as client:
                return await act(client)

        return self._in_loop(session())

    @staticmethod
    def _in_loop(work: Coroutine[Any, Any, T]) -> T:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # it does not wait until its sockets are closed
                try:
                    return asyncio.run(work)
                finally:
                    gc.collect()
        except (aioftp.AIOFTPException, OSError) as error:
            raise ClientFailed(repr(error)) from error

    def list(self, directory: str) -> Sequence[str]:
        async def act(client: aioftp.Client) -> Sequence[str]:
            return [path.name async for path, _ in client.list(directory)]

        return self._run(act)

    @staticmethod
    async def _send(stream: aioftp.DataConnectionThrottleStreamIO, content: bytes) -> None:
        async with stream:
            for at in range(0, len(content), BLOCK):
                await stream.write(content[at : at + BLOCK])

    def put(self, local: Path, remote: str) -> None:
        async def act(client: aioftp.Client) -> None:
            await self._send(await client.get_stream(f"STOR {remote}", "1xx"), local.read_bytes())

        self._run(act)

    def get(self, remote: str, local: Path) -> None:
        self._get(remote, local, "wb")

    def _get(self, remote: str, local: Path, mode: str) -> None:
        async def act(client: aioftp.Client) -> None:
            with local.open(mode) as file:
                async with client.download_stream(remote, offset=file.tell()) as stream:
                    async for block in stream.iter_by_block(BLOCK):
                        file.write(block)

        self._run(act)

    def resume_get(self, remote: str, local: Path) -> None:
        self._get(remote, local, "ab")

    def resume_put(self, local: Path, remote: str) -> None:
        async def act(client: aioftp.Client) -> None:
            there = int((await client.stat(remote))["size"])
            async with client.upload_stream(remote, offset=there) as stream:
                await stream.write(local.read_bytes()[there:])

        self._run(act)

    def append(self, local: Path, remote: str) -> None:
        async def act(client: aioftp.Client) -> None:
            async with client.append_stream(remote) as stream:
                await stream.write(local.read_bytes())

        self._run(act)

    def rename(self, old: str, new: str) -> None:
        self._run(lambda client: client.rename(old, new))

    def make_directory(self, path: str) -> None:
        self._run(lambda client: client.make_directory(path))

    def remove_directory(self, path: str) -> None:
        self._run(lambda client: client.remove_directory(path))

    def delete(self, path: str) -> None:
        self._run(lambda client: client.remove_file(path))

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        async def act(client: aioftp.Client) -> None:
            for local, remote in files.items():
                await self._send(await client.get_stream(f"STOR {remote}", "1xx"), local.read_bytes())
            await client.list(directory)
            for local, remote in files.items():
                async with client.download_stream(remote) as stream:
                    (back / local.name).write_bytes(await stream.read())

        self._run(act)

    def get_time(self, remote: str, local: Path) -> float:
        return _seconds(str(self._run(lambda client: client.stat(remote))["modify"]))

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        async def act(client: aioftp.Client) -> None:
            stream = await client.get_stream(f"RETR {remote}", "1xx")
            await stream.read(1000)
            await client.abort()
            stream.close()
            async with client.download_stream(after) as then:
                local.write_bytes(await then.read())

        self._run(act)

    def abort_put(self, local: Path, remote: str, after: Path, after_remote: str) -> None:
        async def act(client: aioftp.Client) -> None:
            stream = await client.get_stream(f"STOR {remote}", "1xx")
            await stream.write(local.read_bytes()[: 9 * 1024 * 1024])
            await client.abort()
            stream.close()
            async with client.upload_stream(after_remote) as then:
                await then.write(after.read_bytes())

        self._run(act)

    def mirror_up(self, local: Path, remote: str) -> None:
        async def act(client: aioftp.Client) -> None:
            target = PurePosixPath(remote)
            await client.change_directory(target.parent)  # it takes only the last name of what it is told
            await client.upload(str(local), target.name, write_into=True)

        self._run(act)

    def mirror_down(self, remote: str, local: Path) -> None:
        self._run(lambda client: client.download(remote, str(local), write_into=True))

    def put_several(self, files: Mapping[Path, str]) -> None:
        async def one(local: Path, remote: str) -> None:
            async with self._session() as client:
                await self._send(await client.get_stream(f"STOR {remote}", "1xx"), local.read_bytes())

        async def act() -> None:
            await asyncio.gather(*(one(local, remote) for local, remote in files.items()))

        self._in_loop(act())
