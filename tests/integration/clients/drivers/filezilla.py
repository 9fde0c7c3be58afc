"""FileZilla, the program with windows, on a display that nobody sees.

It is told what to do by the files that it keeps itself: its settings, the certificates that it trusts, and its queue.
Ctrl+P starts the queue; when that is done, the program ends. Its exit code says nothing, its log does.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.integration.clients.client import Client, ClientFailed, Cost, process, where_is
from tests.support.daemon import HOST

__all__ = ("FileZilla",)

RUN_SECONDS = 40.0
"""Longest that a run may take: a dialog that waits for somebody waits for ever."""

LOOK_SECONDS = 0.05
PRESS_AGAIN_SECONDS = 5.0
STARTS = 4
OVERWRITE, RESUME = 1, 5
SERVER_TYPES = {"clear": 6, "explicit": 4, "implicit": 3}

QUEUE = """\
PRAGMA encoding="UTF-16le"; PRAGMA user_version = 7;
CREATE TABLE servers (id INTEGER PRIMARY KEY AUTOINCREMENT, host, port, user, password, account, keyfile, protocol,
 type, logontype, timezone_offset, transfer_mode, max_connections, encoding, bypass_proxy, post_login_commands, name,
 parameters, site_path);
CREATE TABLE files (id INTEGER PRIMARY KEY AUTOINCREMENT, server INTEGER, source_file, target_file, local_path,
 remote_path, size, error_count, priority, flags, default_exists_action, extra_flags);
CREATE TABLE local_paths (id INTEGER PRIMARY KEY AUTOINCREMENT, path);
CREATE TABLE remote_paths (id INTEGER PRIMARY KEY AUTOINCREMENT, path);
"""

SETTINGS = {
    "Greeting version": "99.0.0",  # no welcome
    "Queue completion action": 3,  # end the program
    "Logging filesize limit": 0,
    "Reconnect count": 0,
    "Preserve timestamps": 1,
    "File exists action upload": OVERWRITE,
    "File exists action download": OVERWRITE,
}

Job = tuple[str, Path, str, int]
"""`put` or `get`, the local file, the remote one, and what to do if the target exists."""


def _kept(directory: str) -> str:
    """A remote directory as it is kept in its files: "a dir" is "1 0 5 a dir"."""
    return " ".join(["1 0", *(f"{len(name)} {name}" for name in directory.split("/") if name)])


def _log(home: Path) -> str:
    return (home / "log").read_text() if (home / "log").exists() else ""


@contextlib.contextmanager
def _display() -> Iterator[str]:
    """An X server without a screen, for one run."""
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(
        command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            os.close(write_end)
            with os.fdopen(read_end) as told:
                number = told.readline().strip()
            if not number:
                raise ClientFailed("Xvfb did not start")
            yield f":{number}"
        finally:
            server.terminate()


@contextlib.contextmanager
def _window(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], bool]]]:
    """The running program, and what presses a key in its window once that is there; ends when the block does."""
    with _display() as display:
        environment = {
            "PATH": os.environ["PATH"],
            "DISPLAY": display,
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "NO_AT_BRIDGE": "1",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }
        nothing = subprocess.DEVNULL
        with subprocess.Popen(
            ["filezilla", *options], env=environment, cwd=home, stdout=nothing, stderr=nothing
        ) as program:

            def press(key: str) -> bool:
                find = ["xdotool", "search", "--onlyvisible", "--pid", str(program.pid), "--name", "^FileZilla"]
                found = subprocess.run(find, env=environment, capture_output=True, check=False).stdout.split()
                if not found:
                    return False
                keys = ["xdotool", "windowfocus", "--sync", found[-1].decode(), "key", key]
                subprocess.run(keys, env=environment, timeout=RUN_SECONDS, capture_output=True, check=False)
                return True

            # A dialog waits for ever; it is ended then.
            limit = threading.Timer(RUN_SECONDS, program.kill)
            limit.start()
            try:
                yield program, press
            finally:
                limit.cancel()
                program.terminate()


class FileZilla(Client):
    """Debian's FileZilla."""

    name = "FileZilla"
    source = "Debian filezilla"
    lists = False
    cannot = {
        "append": "it has no command for it",
        "abort get": "its queue has no command to stop one file and go on",
        "abort put": "its queue has no command to stop one file and go on",
        "mirror down": "its window makes the queue for a remote tree",
        "mirror up again": "its window makes the queue that compares",
        "mirror down again": "its window makes the queue that compares",
    }

    costs = {
        # It lists the directory before it sends or fetches anything.
        "put": Cost(data=2),
        "put_time": Cost(data=2),
        "get": Cost(data=2),
        "get_time": Cost(data=2),
        "resume_get": Cost(data=2),
        "resume_put": Cost(data=2),
        # It lists the directory that it is in after the login.
        "rename": Cost(data=1),
        "make_directory": Cost(data=1),
        "remove_directory": Cost(data=1),
        "delete": Cost(data=1),
        "mirror_up": Cost(data=7, refused=2, commands=45),  # it goes to a directory before it makes it
        "session": Cost(data=8, commands=60),
        "put_several": Cost(control=5, data=6, commands=80),
    }

    @classmethod
    def missing(cls) -> str | None:
        return where_is("filezilla") or where_is("Xvfb") or where_is("xdotool")

    @classmethod
    def version(cls) -> str:
        shown = process(["dpkg-query", "-W", "-f", "${Version}", "filezilla"], home=Path("/"))
        return re.sub(r"[-+].*$", "", shown)

    # -- its files --------------------------------------------------------------------------------------------------

    def _new_home(
        self, jobs: Sequence[Job], *, parallel: int = 1, directory: str = "", commands: Sequence[str] = ()
    ) -> Path:
        """A home in which all questions are answered."""
        home = Path(tempfile.mkdtemp(dir=self.home))
        conf = home / ".config" / "filezilla"
        conf.mkdir(parents=True)
        settings = {**SETTINGS, "Logging file": home / "log", "Number of Transfers": parallel}
        chosen = "".join(f'<Setting name="{name}">{escape(str(value))}</Setting>' for name, value in settings.items())
        for name, content in {
            "filezilla.xml": f"<Settings>{chosen}</Settings>",
            "trustedcerts.xml": self._trusted(),
            "sitemanager.xml": self._site(directory, commands),
        }.items():
            (conf / name).write_text(f"<FileZilla3>{content}</FileZilla3>")
        with contextlib.closing(sqlite3.connect(conf / "queue.sqlite3")) as queue:
            queue.executescript(QUEUE)
            self._fill(queue, jobs)
            queue.commit()
        return home

    def _trusted(self) -> str:
        """What a user has answered once: this certificate is good, or, this server may do without TLS."""
        if not self.access.encrypted:
            return f'<InsecureHosts><Host Port="{self.access.port}">{HOST}</Host></InsecureHosts>'
        der = ssl.PEM_cert_to_DER_cert(self.access.certificate.read_text())
        return (
            f"<TrustedCerts><Certificate><Data>{der.hex()}</Data><ActivationTime>1</ActivationTime>"
            f"<ExpirationTime>4000000000</ExpirationTime><Host>{HOST}</Host><Port>{self.access.port}</Port>"
            "</Certificate></TrustedCerts>"
        )

    def _site(self, directory: str, commands: Sequence[str]) -> str:
        """An entry of its address book."""
        fields = {
            "Host": HOST,
            "Port": self.access.port,
            "Protocol": self._protocol(),
            "Type": 0,
            "Logontype": 1,
            "User": self.access.login,
            "Pass": self.access.password,
            "Name": "site",
            "RemoteDir": _kept(directory),
        }
        site = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items())
        after = "".join(f"<Command>{escape(command)}</Command>" for command in commands)
        return f"<Servers><Server>{site}<PostLoginCommands>{after}</PostLoginCommands></Server></Servers>"

    def _protocol(self) -> int:
        return SERVER_TYPES["implicit" if self.access.implicit else "explicit" if self.access.encrypted else "clear"]

    def _fill(self, queue: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        login = (HOST, self.access.port, self.access.login, self.access.password)
        queue.execute(
            "INSERT INTO servers(host, port, user, password, protocol, type, logontype) VALUES (?, ?, ?, ?, ?, 0, 1)",
            (*login, self._protocol()),
        )
        for kind, local, remote, exists in jobs:
            folder, _, name = remote.rpartition("/")
            local_id = queue.execute("INSERT INTO local_paths(path) VALUES (?)", (f"{local.parent}/",)).lastrowid
            remote_id = queue.execute("INSERT INTO remote_paths(path) VALUES (?)", (_kept(folder),)).lastrowid
            source, target = (name, local.name) if kind == "get" else (local.name, name)
            size, flags = (-1, 0x10) if kind == "get" else (local.stat().st_size, 0)
            row = (source, None if source == target else target, local_id, remote_id, size, flags, exists)
            queue.execute("INSERT INTO files VALUES (NULL, 1, ?, ?, ?, ?, ?, 0, 2, ?, ?, NULL)", row)

    # -- its window -------------------------------------------------------------------------------------------------

    def _run(self, *jobs: Job, parallel: int = 1) -> None:
        """Work off a queue."""
        for _ in range(STARTS):
            home = self._new_home(jobs, parallel=parallel)
            self._start_queue(home)
            # The key may come before the queue is loaded: an empty one is done at once, and nothing was sent.
            if said := _log(home):
                break
        else:
            raise ClientFailed("it did nothing")
        if said.count("File transfer successful") < len(jobs) or "Error:" in said:
            raise ClientFailed(said)
        if self.access.encrypted and "true</Entry>" not in (home / ".config/filezilla/trustedcerts.xml").read_text():
            raise ClientFailed(f"its verdict is that data connections do not resume the TLS session: {said}")

    @staticmethod
    def _start_queue(home: Path) -> None:
        pressed = 0.0
        with _window(home) as (program, press):
            while program.poll() is None:
                # Ctrl+P stops a queue that runs: it is pressed again only while nothing has begun.
                if not _log(home) and time.monotonic() - pressed > PRESS_AGAIN_SECONDS and press("ctrl+p"):
                    pressed = time.monotonic()
                time.sleep(LOOK_SECONDS)

    # -- what it does -----------------------------------------------------------------------------------------------

    def list(self, directory: str) -> Sequence[str]:
        raise NotImplementedError

    def find(self, directory: str, files: Sequence[str]) -> None:
        if files:
            here = self.home / "found"
            here.mkdir()
            self._run(*(("get", here / name, f"{directory}/{name}", OVERWRITE) for name in files))
            return
        self._visit(self._new_home([], directory=directory))

    def rename(self, old: str, new: str) -> None:
        self._order(f"RNFR /{old}", f"RNTO /{new}")

    def make_directory(self, path: str) -> None:
        self._order(f"MKD /{path}")

    def remove_directory(self, path: str) -> None:
        self._order(f"RMD /{path}")

    def delete(self, path: str) -> None:
        self._order(f"DELE /{path}")

    def _order(self, *commands: str) -> None:
        """Commands that its address book has for after the login; it logs in for a listing."""
        self._visit(self._new_home([], commands=commands))

    @staticmethod
    def _visit(home: Path) -> None:
        """Go to the site of its address book and list its directory."""
        with _window(home, "--site=0/site") as (program, _):
            while program.poll() is None and not re.search(r"Directory listing of .* successful|Error:", _log(home)):
                time.sleep(LOOK_SECONDS)
        if "Error:" in _log(home) or "successful" not in _log(home):
            raise ClientFailed(_log(home) or "it did nothing")

    def put(self, local: Path, remote: str) -> None:
        self._run(("put", local, remote, OVERWRITE))

    def get(self, remote: str, local: Path) -> None:
        self._run(("get", local, remote, OVERWRITE))

    def resume_get(self, remote: str, local: Path) -> None:
        self._run(("get", local, remote, RESUME))

    def resume_put(self, local: Path, remote: str) -> None:
        self._run(("put", local, remote, RESUME))

    def get_time(self, remote: str, local: Path) -> float:
        self.get(remote, local)
        return local.stat().st_mtime

    def put_time(self, local: Path, remote: str) -> None:
        self.put(local, remote)

    def mirror_up(self, local: Path, remote: str) -> None:
        found = [path for path in sorted(local.rglob("*")) if path.is_file()]
        self._run(*(("put", path, f"{remote}/{path.relative_to(local)}", OVERWRITE) for path in found))

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        """It lists the directory by itself."""
        puts = [("put", local, remote, OVERWRITE) for local, remote in files.items()]
        self._run(*puts, *(("get", back / local.name, remote, OVERWRITE) for local, remote in files.items()))

    def put_several(self, files: Mapping[Path, str], *, parallel: int = 0) -> None:
        jobs = (("put", local, remote, OVERWRITE) for local, remote in files.items())
        self._run(*jobs, parallel=parallel or len(files))
