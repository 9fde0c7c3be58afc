"""The clients that are libraries of other languages, each behind a small program, all of them in ../programs.

All programs speak alike. Standard input: a line that says how to connect (host, port, mode, login, password, file of
the certificate), then a line for each operation, with the names of `Client`'s methods. Standard output: a line for each
operation, `ok` and what it tells, or `error` and why. Fields are parted by tabs. One run is one session.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.integration.clients.client import LANGUAGE_PACKAGES, Client, ClientFailed, Cost, process, where_is
from tests.support.daemon import HOST

__all__ = ("BasicFtp", "CommonsNet", "FtpNpm", "Jlaffaye", "NetFtp", "PhpFtp", "RubyNetFtp", "Suppaftp")

SOURCES = Path(__file__).parents[1] / "programs"

NO_TREES = dict.fromkeys(
    ("mirror up", "mirror down", "mirror up again", "mirror down again"), "it has no call for trees"
)
NO_ABORT = dict.fromkeys(("abort get", "abort put"), "it has no call to stop a transfer and keep the session")


class _Program(Client):
    """A library behind its program."""

    environment: ClassVar[Mapping[str, str]] = {}
    cannot: ClassVar[Mapping[str, str]] = NO_TREES

    @classmethod
    @abstractmethod
    def command(cls) -> list[str]:
        """What runs the program."""

    def _run(self, *operations: Sequence[str | Path]) -> list[list[str]]:
        """What each operation told."""
        mode = "implicit" if self.access.implicit else "explicit" if self.access.encrypted else "clear"
        how = [HOST, self.access.port, mode, self.access.login, self.access.password, self.access.certificate]
        lines = ["\t".join(map(str, words)) + "\n" for words in (how, *operations)]
        said = process(self.command(), home=self.home, stdin="".join(lines), environment=self.environment)
        answers = [line.split("\t") for line in said.splitlines() if line.startswith(("ok", "error\t"))]
        if len(answers) != len(operations) or any(answer[0] != "ok" for answer in answers):
            raise ClientFailed(said)
        return [answer[1:] for answer in answers]

    def list(self, directory: str) -> Sequence[str]:
        return self._run(["list", directory])[0]

    def put(self, local: Path, remote: str) -> None:
        self._run(["put", local, remote])

    def get(self, remote: str, local: Path) -> None:
        self._run(["get", remote, local])

    def resume_get(self, remote: str, local: Path) -> None:
        self._run(["resume_get", remote, local])

    def resume_put(self, local: Path, remote: str) -> None:
        self._run(["resume_put", local, remote])

    def append(self, local: Path, remote: str) -> None:
        self._run(["append", local, remote])

    def rename(self, old: str, new: str) -> None:
        self._run(["rename", old, new])

    def make_directory(self, path: str) -> None:
        self._run(["make_directory", path])

    def remove_directory(self, path: str) -> None:
        self._run(["remove_directory", path])

    def delete(self, path: str) -> None:
        self._run(["delete", path])

    def get_time(self, remote: str, local: Path) -> float:
        return float(self._run(["get_time", remote])[0][0])

    def put_time(self, local: Path, remote: str) -> None:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(local.stat().st_mtime))
        self._run(["put", local, remote], ["set_time", remote, stamp])

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        self._run(["abort_get", remote, after, local])

    def abort_put(self, local: Path, remote: str, after: Path, after_remote: str) -> None:
        self._run(["abort_put", local, remote, after, after_remote])

    def mirror_up(self, local: Path, remote: str) -> None:
        self._run(["mirror_up", local, remote])

    def mirror_down(self, remote: str, local: Path) -> None:
        self._run(["mirror_down", remote, local])

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        operations: list[Sequence[str | Path]] = [("put", local, remote) for local, remote in files.items()]
        operations.append(("list", directory))
        operations += [("get", remote, back / local.name) for local, remote in files.items()]
        self._run(*operations)


class CommonsNet(_Program):
    """Apache commons-net on OpenJDK."""

    name = "commons-net"
    source = "Maven Central commons-net"
    resumes = "none"
    _classes = LANGUAGE_PACKAGES / "java"

    @classmethod
    def missing(cls) -> str | None:
        if not (cls._classes / "CommonsNet.class").exists():
            return "local/clients/java is not there"
        return where_is("java")

    @classmethod
    def version(cls) -> str:
        (jar,) = cls._classes.glob("commons-net-*.jar")
        return jar.stem.removeprefix("commons-net-")

    @classmethod
    def command(cls) -> list[str]:
        path = f"{cls._classes}/*:{cls._classes}"
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", path, "CommonsNet"]


class _Npm(_Program):
    """A package of npm's."""

    package: ClassVar[str]
    script: ClassVar[str]
    modules: ClassVar[Path] = LANGUAGE_PACKAGES / "node" / "node_modules"
    environment: ClassVar[Mapping[str, str]] = {"NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"}

    @classmethod
    def missing(cls) -> str | None:
        if not (cls.modules / cls.package).exists():
            return f"local/clients/node has no {cls.package}"
        return where_is("node")

    @classmethod
    def version(cls) -> str:
        show = f"console.log(require('{cls.modules}/{cls.package}/package.json').version)"
        return process(["node", "-e", show], home=Path("/")).strip()

    @classmethod
    def command(cls) -> list[str]:
        return ["node", str(SOURCES / cls.script)]


class BasicFtp(_Npm):
    """basic-ftp."""

    name = "basic-ftp"
    source = "npm basic-ftp"
    package = "basic-ftp"
    script = "basic_ftp.mjs"
    cannot = {
        **NO_ABORT,
        "mirror up again": "it compares nothing",
        "mirror down again": "it compares nothing",
    }
    costs = {"mirror_up": Cost(data=4, refused=2, commands=40)}  # it makes directories and goes there, in either order


class FtpNpm(_Npm):
    """ftp."""

    name = "npm ftp"
    source = "npm ftp"
    package = "ftp"
    script = "ftp.mjs"
    modes = ("explicit", "clear")
    cannot = {
        **NO_TREES,
        **dict.fromkeys(("abort get", "abort put"), "its call for it waits for the end of the transfer"),
        "implicit TLS": "its implicit mode goes on with the socket below its TLS, and times out",
        "name: blank first": "it cuts blanks off the fronts of names in LIST",
        **dict.fromkeys(("name: emoji", "name: NFC", "name: NFD"), "it reads listings as Latin-1"),
    }


class PhpFtp(_Program):
    """PHP's own extension."""

    name = "PHP ext/ftp"
    source = "Debian php-cli"
    modes = ("explicit", "clear")
    cannot = {**NO_TREES, **NO_ABORT, "implicit TLS": "it begins with AUTH TLS only"}

    @classmethod
    def missing(cls) -> str | None:
        return where_is("php")

    @classmethod
    def version(cls) -> str:
        return process(["php", "-r", "echo PHP_VERSION;"], home=Path("/")).strip()

    @classmethod
    def command(cls) -> list[str]:
        return ["php", str(SOURCES / "client.php")]


class NetFtp(_Program):
    """Perl's own module."""

    name = "Net::FTP"
    source = "Debian perl and libio-socket-ssl-perl"
    resumes = "none"
    only_in_clear = dict.fromkeys(
        ("abort get", "abort put"),
        "aborting, it sends Telnet's signals in clear, also into an encrypted control connection",
    )

    @classmethod
    def missing(cls) -> str | None:
        if not Path("/usr/share/perl5/IO/Socket/SSL.pm").exists():
            return "libio-socket-ssl-perl is not installed"
        return where_is("perl")

    @classmethod
    def version(cls) -> str:
        return process(["perl", "-MNet::FTP", "-e", "print $Net::FTP::VERSION"], home=Path("/")).strip()

    @classmethod
    def command(cls) -> list[str]:
        return ["perl", str(SOURCES / "client.pl")]


class RubyNetFtp(_Program):
    """Ruby's net-ftp."""

    name = "net-ftp"
    source = "Debian ruby"
    resumes = "not after uploads"
    modes = ("explicit", "clear")
    cannot = {**NO_TREES, "implicit TLS": "it begins with AUTH TLS only"}

    @classmethod
    def missing(cls) -> str | None:
        return where_is("ruby")

    @classmethod
    def version(cls) -> str:
        return process(["ruby", "-rnet/ftp", "-e", "puts Net::FTP::VERSION"], home=Path("/")).strip()

    @classmethod
    def command(cls) -> list[str]:
        return ["ruby", str(SOURCES / "client.rb")]


class _Built(_Program):
    """A program that scripts/clients.sh has compiled; its version is in a file beside it."""

    program: ClassVar[Path]

    @classmethod
    def missing(cls) -> str | None:
        return None if os.access(cls.program, os.X_OK) else f"local/clients/{cls.program.parent.name} is not there"

    @classmethod
    def version(cls) -> str:
        return (cls.program.parent / "version").read_text().strip()

    @classmethod
    def command(cls) -> list[str]:
        return [str(cls.program)]


class Jlaffaye(_Built):
    """Go's jlaffaye/ftp."""

    name = "jlaffaye/ftp"
    source = "Go module github.com/jlaffaye/ftp"
    program = LANGUAGE_PACKAGES / "go" / "jlaffaye"
    cannot = {**NO_TREES, "abort put": "it has no call to stop an upload and keep the session"}


class Suppaftp(_Built):
    """Rust's suppaftp on native-tls."""

    name = "suppaftp"
    source = "crates.io suppaftp"
    program = LANGUAGE_PACKAGES / "rust" / "suppaftp-client"
    resumes = "none"
    cannot = {**NO_TREES, "name: blank first": "it cuts blanks off the fronts of names in MLSD"}
