"""The line-mode clients that descend from BSD's ftp: tnftp, GNU inetutils' ftp and netkit's ftp-ssl.

Each run is one session: commands on standard input, the login from .netrc.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.integration.clients.client import Client, ClientFailed, Cost, interrupted, process, where_is
from tests.support.daemon import HOST

__all__ = ("FtpSsl", "Inetutils", "Tnftp")

_TREES = ("mirror up", "mirror down", "mirror up again", "mirror down again")

_REFUSED = re.compile(
    r"^(?:[45]\d\d[ -].*|\?.*|.*(?:Login failed|Not connected|not found|No control connection).*)$", re.MULTILINE
)


def _quoted(text: str | Path) -> str:
    """An argument; these clients take the character behind a backslash as it is, but not between quotes."""
    return re.sub(r"([^\w/.-])", r"\\\1", str(text))


class _Text(Client):
    """What the three share."""

    program: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    modes: ClassVar[tuple[str, ...]] = ("clear",)
    cannot = {
        **dict.fromkeys(_TREES, "it has no command for trees"),
        "time up": "it sends no times",
        "abort put": "it ends an interrupted upload as it ends a whole one, by FIN alone and without ABOR",
    }
    costs = {
        "resume_put": Cost(control=2, data=1)
    }  # the size, which it is to be told, is asked for by a run of its own
    start: ClassVar[tuple[str, ...]] = ("passive on", "verbose on", "binary")
    version_of: ClassVar[str]

    @classmethod
    def missing(cls) -> str | None:
        return where_is(cls.program)

    @classmethod
    def version(cls) -> str:
        shown = process(["dpkg-query", "-W", "-f", "${Version}", cls.version_of], home=Path("/"))
        return re.sub(r"^\d+:|[-+].*$", "", shown)

    def _command(self) -> list[str]:
        netrc = self.home / ".netrc"
        netrc.write_text(f"machine {HOST}\nlogin {self.access.login}\npassword {self.access.password}\n")
        netrc.chmod(0o600)
        return [self.program, *self.options, HOST, str(self.access.port)]

    def _ftp(self, *commands: str, start: Sequence[str] = ("passive on", "verbose on", "binary")) -> str:
        said = process(
            self._command(), home=self.home, stdin="\n".join([*start, *commands, "bye", ""]), accepted=(0, 1)
        )
        if refused := _REFUSED.search(said):
            raise ClientFailed(f"{refused[0]!r} in: {said}")
        return said

    def list(self, directory: str) -> Sequence[str]:
        shown = self.home / "shown"
        self._ftp(f"nlist {_quoted(directory)} {_quoted(shown)}")
        # Names of a directory that is not the current one come alone.
        return shown.read_text().splitlines() if shown.exists() else []

    def put(self, local: Path, remote: str) -> None:
        self._ftp(f"put {_quoted(local)} {_quoted(remote)}")

    def get(self, remote: str, local: Path) -> None:
        self._ftp(f"get {_quoted(remote)} {_quoted(local)}")

    def resume_get(self, remote: str, local: Path) -> None:
        self._ftp(f"reget {_quoted(remote)} {_quoted(local)}")

    def resume_put(self, local: Path, remote: str) -> None:
        there = re.search(r"(\d+)$", self._ftp(f"size {_quoted(remote)}").strip().splitlines()[-2])
        assert there is not None
        self._ftp(f"restart {there[1]}", f"put {_quoted(local)} {_quoted(remote)}")

    def append(self, local: Path, remote: str) -> None:
        self._ftp(f"append {_quoted(local)} {_quoted(remote)}")

    def rename(self, old: str, new: str) -> None:
        self._ftp(f"rename {_quoted(old)} {_quoted(new)}")

    def make_directory(self, path: str) -> None:
        self._ftp(f"mkdir {_quoted(path)}")

    def remove_directory(self, path: str) -> None:
        self._ftp(f"rmdir {_quoted(path)}")

    def delete(self, path: str) -> None:
        self._ftp(f"delete {_quoted(path)}")

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        puts = [f"put {_quoted(local)} {_quoted(remote)}" for local, remote in files.items()]
        gets = [f"get {_quoted(remote)} {_quoted(back / local.name)}" for local, remote in files.items()]
        # Without "prompt" it would ask whether it may write the listing.
        self._ftp("prompt", *puts, f"nlist {_quoted(directory)} {_quoted(self.home / 'shown')}", *gets)

    def get_time(self, remote: str, local: Path) -> float:
        told = re.search(r"(\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d:\d\d) GMT", self._ftp(f"modtime {_quoted(remote)}"))
        assert told is not None
        month, day, year, clock = told.groups()
        return time.mktime(time.strptime(f"{year}-{month}-{day} {clock}", "%Y-%m-%d %H:%M:%S")) - time.timezone

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        pipe = self.home / "pipe"
        os.mkfifo(pipe)
        self._interrupted(
            f"get {_quoted(remote)} {_quoted(f'|cat >{pipe}')}",
            pipe,
            f"get {_quoted(after)} {_quoted(local)}",
        )

    def _interrupted(self, first: str, pipe: Path, then: str) -> None:
        """Ctrl-C while the first command is in its middle: its local end is a pipe that we hold."""

        def middle(interrupt: Callable[[], None]) -> None:
            with pipe.open("rb", buffering=0) as held:
                held.read(1000)
                interrupt()
                while held.read(1024 * 1024):
                    pass

        said = interrupted(
            self._command(), home=self.home, first=[*self.start, first], middle=middle, then=[then, "bye"]
        )
        if "426" not in said:
            raise ClientFailed(said)


class Tnftp(_Text):
    """NetBSD's ftp."""

    name = "tnftp"
    source = "Debian tnftp"
    program = "tnftp"
    options = ("-p", "-V", "-g")
    version_of = "tnftp"
    core = True

    def get_time(self, remote: str, local: Path) -> float:
        self.get(remote, local)
        return local.stat().st_mtime


class Inetutils(_Text):
    """GNU inetutils' ftp."""

    name = "inetutils-ftp"
    source = "Debian inetutils-ftp"
    program = "inetutils-ftp"
    options = ("-g",)
    start = ("passive", "verbose", "binary")
    version_of = "inetutils-ftp"


class FtpSsl(_Text):
    """netkit's ftp with TLS."""

    name = "ftp-ssl"
    source = "Debian ftp-ssl"
    program = "ftp-ssl"
    version_of = "ftp-ssl"
    modes = ("explicit", "clear")
    cannot = _Text.cannot | {
        "implicit TLS": "it begins with AUTH TLS only",
    }
    only_in_clear = {
        "abort get": "interrupted, it sends Telnet's signals in clear, also into an encrypted control connection"
    }

    def _command(self) -> list[str]:
        command = super()._command()
        return command if self.access.encrypted else [command[0], "-z", "nossl", *command[1:]]
