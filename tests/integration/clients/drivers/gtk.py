"""Two clients of desktops without their windows: gFTP's text mode, and GNOME's file system by `gio`."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.integration.clients.client import Client, ClientFailed, Cost, process, where_is
from tests.support.daemon import HOST

__all__ = ("Gftp", "Gvfs")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Gftp(Client):
    """gFTP without its window. It keeps its settings in .gftp of the account, whatever HOME says."""

    name = "gFTP"
    source = "Debian gftp-text"

    @classmethod
    def missing(cls) -> str | None:
        return where_is("gftp-text")

    @classmethod
    def version(cls) -> str:
        return re.sub(r"[-+].*$", "", process(["dpkg-query", "-W", "-f", "${Version}", "gftp-text"], home=Path("/")))

    cannot = {
        "resume get": "its text mode has no command for it",
        "resume put": "its text mode has no command for it",
        "append": "it has no command for it",
        "abort get": "its text mode cannot be interrupted",
        "abort put": "its text mode cannot be interrupted",
        "mirror up again": "it compares nothing",
        "mirror down again": "it compares nothing",
        "time up": "it sends no times",
        "time down": "the times of its files are an hour off, now and then: it leaves summer time to chance",
        "name: blank last": "its text mode cuts blanks off the ends of commands",
        "name: brackets": "its text mode takes every name for a pattern",
    }
    costs = {
        # Each transfer has a connection of its own; one that opens a directory lists it.
        "put": Cost(control=2, data=2, commands=30),
        "get": Cost(control=2, data=2, commands=30),
        "get_time": Cost(control=2, data=2, commands=30),
        "mirror_up": Cost(control=2, data=6, commands=60),
        "mirror_down": Cost(control=2, data=10, commands=60),
        "session": Cost(control=7, data=14, commands=110),
        "put_several": Cost(control=10, data=10, commands=120),
    }

    def _gftp(self, folder: str, *commands: str, directory: Path | None = None) -> str:
        scheme = "ftp" if not self.access.encrypted else "ftpsi" if self.access.implicit else "ftps"
        url = f"{scheme}://{self.access.login}:{self.access.password}@{HOST}:{self.access.port}/{folder}"
        lines = ["set verify_ssl_peer=0", "set retries=1", f"open {url}", *commands, "quit", ""]
        said = process(["gftp-text"], home=self.home, directory=directory, stdin="\n".join(lines), accepted=range(256))
        said = _COLOUR.sub("", said)
        if refused := re.search(r"^ ?[45]\d\d .*|.*(?:Error|Could not|Cannot|not connected).*$", said, re.MULTILINE):
            raise ClientFailed(f"{refused[0]!r} in: {said}")
        return said

    def list(self, directory: str) -> Sequence[str]:
        said = self._gftp(directory, "ls").rpartition("ftp> ls")[2]
        return re.findall(r"^ ?[-d]r\S+ +\S+ +\S+ +\d+ \w{3} [ \d]\d [ \d][\d:]{4} (.*)$", said, re.MULTILINE)

    def put(self, local: Path, remote: str) -> None:
        folder, _, name = remote.rpartition("/")
        here = self.home / "sent"
        here.mkdir()
        shutil.copy(local, here / name)
        self._gftp(folder, f"put {name}", directory=here)

    def get(self, remote: str, local: Path) -> None:
        folder, _, name = remote.rpartition("/")
        here = self.home / "fetched"
        here.mkdir()
        self._gftp(folder, f"get {name}", directory=here)
        shutil.move(here / name, local)

    def rename(self, old: str, new: str) -> None:
        self._gftp("", f"rename {old} {new}")

    def make_directory(self, path: str) -> None:
        self._gftp("", f"mkdir {path}")

    def remove_directory(self, path: str) -> None:
        self._gftp("", f"rmdir {path}")

    def delete(self, path: str) -> None:
        self._gftp("", f"delete {path}")

    def get_time(self, remote: str, local: Path) -> float:
        self.get(remote, local)
        return local.stat().st_mtime

    def mirror_up(self, local: Path, remote: str) -> None:
        self._gftp(remote, "mput *", directory=local)

    def mirror_down(self, remote: str, local: Path) -> None:
        self._gftp(remote, "mget *", directory=local)

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        (source,) = {local.parent for local in files}
        puts, gets = ([f"{verb} {local.name}" for local in files] for verb in ("put", "get"))
        self._gftp(directory, f"lcd {source}", *puts, "ls", f"lcd {back}", *gets)


class Gvfs(Client):
    """GNOME's virtual file system: a mount, used by `gio`, on a message bus of its own."""

    name = "gvfs"
    source = "Debian gvfs-backends"
    time_precision = 24 * 3600  # it reads LIST
    cannot = {
        "resume get": "it has no command for it",
        "resume put": "it has no command for it",
        "abort get": "interrupted, it leaves its control connection, too",
        "abort put": "it ends an interrupted upload as it ends a whole one, by close_notify and without ABOR",
        **dict.fromkeys(("mirror up", "mirror down", "mirror up again", "mirror down again"), "gio copies no trees"),
        "time up": "it sends no times",
    }
    costs = {
        # It looks what is there first, by CWD and SIZE, and lists the directory afterwards.
        "put": Cost(data=2, refused=2),
        "session": Cost(data=10, refused=6, commands=90),
        "put_several": Cost(control=5, data=10, refused=10, commands=100),
        "rename": Cost(data=1, refused=3),
        "remove_directory": Cost(refused=1),
    }

    @classmethod
    def missing(cls) -> str | None:
        if not Path("/usr/lib/gvfs/gvfsd-ftp").exists():
            return "gvfs-backends is not installed"
        return where_is("gio") or where_is("dbus-run-session")

    @classmethod
    def version(cls) -> str:
        return re.sub(r"[-+].*$", "", process(["dpkg-query", "-W", "-f", "${Version}", "gvfs"], home=Path("/")))

    def _gio(self, *commands: Sequence[str | Path], stdin: Path | None = None) -> str:
        scheme = "ftp" if not self.access.encrypted else "ftpis" if self.access.implicit else "ftps"
        root = f"{scheme}://{self.access.login}@{HOST}:{self.access.port}"
        answers = self.home / "answers"
        # "1" trusts the certificate, which a user would be asked once.
        answers.write_text(("1\n" if self.access.encrypted else "") + f"{self.access.password}\n")
        lines = ["set -e", f"gio mount {root} <answers >mounted 2>&1"]
        for command in commands:
            words = [
                f"{root}/{quote(word[1:])}" if str(word).startswith("\0") else str(word) for word in map(str, command)
            ]
            source = f" <{shlex.quote(str(stdin))}" if stdin is not None else ""
            lines.append(f"{shlex.join(['gio', *words])}{source} >>shown 2>said")
        script = "\n".join(["umask 077", *lines, f"gio mount -u {root} >unmounted 2>&1"])
        bus = ["dbus-run-session", "--", "sh", "-c", script]
        environment = {"XDG_RUNTIME_DIR": str(self.home), "GVFS_REMOTE_VOLUME_MONITOR_IGNORE": "1"}
        shown = self.home / "shown"
        shown.unlink(missing_ok=True)
        try:
            process(bus, home=self.home, environment=environment)
            return shown.read_text()
        except ClientFailed as error:
            notes = [path.read_text() for name in ("mounted", "said") if (path := self.home / name).exists()]
            raise ClientFailed(f"{error} {' '.join(notes)}") from error

    def list(self, directory: str) -> Sequence[str]:
        return self._gio(["list", f"\0{directory}"]).splitlines()

    def put(self, local: Path, remote: str) -> None:
        self._gio(["copy", local, f"\0{remote}"])

    def get(self, remote: str, local: Path) -> None:
        self._gio(["copy", f"\0{remote}", local])

    def append(self, local: Path, remote: str) -> None:
        self._gio(["save", "--append", f"\0{remote}"], stdin=local)

    def rename(self, old: str, new: str) -> None:
        self._gio(["move", f"\0{old}", f"\0{new}"])

    def make_directory(self, path: str) -> None:
        self._gio(["mkdir", f"\0{path}"])

    def remove_directory(self, path: str) -> None:
        self._gio(["remove", f"\0{path}"])

    def delete(self, path: str) -> None:
        self._gio(["remove", f"\0{path}"])

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        commands: list[Sequence[str | Path]] = [("copy", local, f"\0{remote}") for local, remote in files.items()]
        commands.append(("list", f"\0{directory}"))
        commands += [("copy", f"\0{remote}", back / local.name) for local, remote in files.items()]
        self._gio(*commands)

    def get_time(self, remote: str, local: Path) -> float:
        told = re.search(r"time::modified: (\d+)", self._gio(["info", "--attributes=time::modified", f"\0{remote}"]))
        assert told is not None
        return float(told[1])
