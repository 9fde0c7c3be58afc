"""ncftp: its shell for what happens on the server, ncftpput and ncftpget for files."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.integration.clients.client import Client, ClientFailed, Cost, interrupted, process, where_is
from tests.support.daemon import HOST

__all__ = ("Ncftp",)

_CHUNK = bytes(1024 * 1024)
_CHUNKS = 1000
"""Far more than goes through while it is being interrupted."""

_REFUSED = re.compile(r"^.*(?:[Ff]ailed|[Cc]ould not|[Cc]annot|[Nn]o such|Usage:).*$", re.MULTILINE)


def _quoted(text: str | Path) -> str:
    """An argument in the quotes that it has not itself."""
    mark = "'" if '"' in str(text) else '"'
    return f"{mark}{text}{mark}"


class Ncftp(Client):
    """Debian's ncftp; it has no TLS."""

    name = "ncftp"
    source = "Debian ncftp"
    modes = ("clear",)
    cannot = {"mirror up again": "it compares nothing"}
    costs = {
        # It looks by MLST and SIZE what is there first, and tries SITE UTIME and MDTM for the time afterwards.
        "put": Cost(data=1, refused=4),
        "put_time": Cost(data=1, refused=4),
        "resume_put": Cost(data=1, refused=1),  # MDTM with a time
        "append": Cost(data=1, refused=1),
        "abort_put": Cost(data=2, refused=5, broken=1),
        "put_several": Cost(control=5, data=5, refused=20, commands=75),
        "make_directory": Cost(refused=1),
        "mirror_up": Cost(data=4, refused=3, commands=40),
    }

    @classmethod
    def missing(cls) -> str | None:
        return where_is("ncftp")

    @classmethod
    def version(cls) -> str:
        return re.sub(r"^\d+:|[-+].*$", "", process(["dpkg-query", "-W", "-f", "${Version}", "ncftp"], home=Path("/")))

    def _login(self) -> Path:
        login = self.home / "login.cfg"
        login.write_text(f"host {HOST}\nuser {self.access.login}\npass {self.access.password}\n")
        return login

    @property
    def _environment(self) -> Mapping[str, str]:
        """Its settings: it looks for them where /etc/passwd says, not where HOME does."""
        return {"NCFTPDIR": str(self.home)}

    @property
    def _opening(self) -> str:
        return f"open -u {self.access.login} -p {self.access.password} -P {self.access.port} {HOST}"

    def _shell(self, *commands: str) -> str:
        script = "\n".join([self._opening, *commands, "bye", ""])
        said = process(["ncftp"], home=self.home, stdin=script, environment=self._environment, accepted=range(256))
        _, logged_in, said = said.partition("Logged in to")
        if not logged_in:
            raise ClientFailed(said)
        said = said.partition("\n")[2].partition("\n\n")[0]  # it ends with a word about itself, sometimes
        if refused := _REFUSED.search(said):
            raise ClientFailed(f"{refused[0]!r} in: {said}")
        return said

    def _tool(self, tool: str, *arguments: str | Path) -> str:
        options = ["-f", str(self._login()), "-P", str(self.access.port), "-r", "1"]
        if tool != "ncftpls":
            options.append("-V")
        return process([tool, *options, *arguments], home=self.home, environment=self._environment)

    def list(self, directory: str) -> Sequence[str]:
        return self._tool("ncftpls", "-1", f"ftp://{HOST}/{quote(directory)}/").splitlines()

    def put(self, local: Path, remote: str) -> None:
        self._shell(f"put -f -z {_quoted(local)} {_quoted(remote)}")

    def get(self, remote: str, local: Path) -> None:
        self._shell(f"get -f -z {_quoted(remote)} {_quoted(local)}")

    def resume_get(self, remote: str, local: Path) -> None:
        self._tool("ncftpget", "-z", local.parent, remote)

    def resume_put(self, local: Path, remote: str) -> None:
        folder, _, name = remote.rpartition("/")
        (self.home / name).write_bytes(local.read_bytes())
        # Without -s, which is without sendfile, it begins at 0 again in the local file.
        self._tool("ncftpput", "-z", "-s", folder, self.home / name)

    def append(self, local: Path, remote: str) -> None:
        folder, _, name = remote.rpartition("/")
        (self.home / name).write_bytes(local.read_bytes())
        self._tool("ncftpput", "-A", folder, self.home / name)

    def rename(self, old: str, new: str) -> None:
        self._shell(f"rename {_quoted(old)} {_quoted(new)}")

    def make_directory(self, path: str) -> None:
        self._shell(f"mkdir {_quoted(path)}")

    def remove_directory(self, path: str) -> None:
        self._shell(f"rmdir {_quoted(path)}")

    def delete(self, path: str) -> None:
        self._shell(f"rm {_quoted(path)}")

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        pipe = self._pipe()

        def middle(interrupt: Callable[[], None]) -> None:
            with pipe.open("rb", buffering=0) as held:
                held.read(1000)
                interrupt()
                while held.read(len(_CHUNK)):
                    pass

        self._interrupted(f"get -f -z {_quoted(remote)} {pipe}", middle, f"get -f -z {_quoted(after)} {_quoted(local)}")

    def abort_put(self, local: Path, remote: str, after: Path, after_remote: str) -> None:
        pipe = self._pipe()

        def middle(interrupt: Callable[[], None]) -> None:
            with pipe.open("wb", buffering=0) as held, contextlib.suppress(BrokenPipeError):
                held.write(_CHUNK)
                interrupt()
                for _ in range(_CHUNKS):  # it looks for interruptions between what it reads
                    held.write(_CHUNK)

        self._interrupted(f"put -f -z {pipe} {_quoted(remote)}", middle, f"put -f -z {_quoted(after)} {after_remote}")

    def _pipe(self) -> Path:
        pipe = self.home / "pipe"
        os.mkfifo(pipe)
        return pipe

    def _interrupted(self, first: str, middle: Callable[[Callable[[], None]], None], then: str) -> None:
        """Ctrl-C while the first command is in its middle: its local end is a pipe that we hold."""
        said = interrupted(
            ["ncftp"],
            home=self.home,
            first=[self._opening, first],
            middle=middle,
            then=[then, "bye"],
            environment=self._environment,
        )
        if "aborted by local user" not in said:
            raise ClientFailed(said)

    def get_time(self, remote: str, local: Path) -> float:
        self.get(remote, local)
        return local.stat().st_mtime

    def put_time(self, local: Path, remote: str) -> None:
        self.put(local, remote)

    def mirror_up(self, local: Path, remote: str) -> None:
        folder, _, name = remote.rpartition("/")
        assert local.name == name
        self._tool("ncftpput", "-R", folder, local)

    def mirror_down(self, remote: str, local: Path) -> None:
        assert local.name == remote.rpartition("/")[2]
        self._tool("ncftpget", "-R", "-T", local.parent, remote)
