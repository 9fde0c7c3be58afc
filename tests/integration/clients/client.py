"""What a driver is: one client, made to do what the shared suite asks for.

A driver translates; it never repairs. What its client cannot do is declared in `cannot`, with the reason, before
anything runs: a failure is never turned into "cannot". What an operation may cost on the wire is declared in `costs`,
so that an attempt which the client hides by another one is seen.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.integration.clients.cells import Cell
from tests.support.daemon import ROOT, Access

__all__ = ("LANGUAGE_PACKAGES", "Client", "ClientFailed", "Cost", "Operation", "interrupted", "process", "where_is")

LANGUAGE_PACKAGES = Path(os.environ.get("AIOFTPS3_TEST_CLIENTS") or ROOT / "local" / "clients")
"""Where scripts/clients.sh puts what comes from the registries of programming languages."""

OPERATION_SECONDS = 20.0
"""Longest that one operation of a client may take, which nothing but a hang comes near."""

Operation = str
"""The name of one of the methods of `Client` that do something on the server."""


class ClientFailed(AssertionError):
    """The client says that it failed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The most that one operation takes on the wire."""

    control: int = 1
    """Control connections."""
    data: int = 0
    """Data connections: replies 150."""
    refused: int = 0
    """Replies 4xx and 5xx."""
    broken: int = 0
    """Replies 4xx among them: what would have succeeded if nothing had gone wrong on the way."""
    commands: int = 25


ONE_TRANSFER = Cost(data=1)
NO_TRANSFER = Cost()
ABORTED_AND_THEN_ONE = Cost(data=2, refused=1, broken=1)
"""The 426 of the one that was aborted is counted."""

COSTS: Mapping[Operation, Cost] = {
    "list": ONE_TRANSFER,
    "find": Cost(data=4),
    "put": ONE_TRANSFER,
    "get": ONE_TRANSFER,
    "resume_get": ONE_TRANSFER,
    "resume_put": ONE_TRANSFER,
    "append": ONE_TRANSFER,
    "get_time": ONE_TRANSFER,
    "put_time": ONE_TRANSFER,
    "abort_get": ABORTED_AND_THEN_ONE,
    "abort_put": ABORTED_AND_THEN_ONE,
    "rename": NO_TRANSFER,
    "make_directory": NO_TRANSFER,
    "remove_directory": NO_TRANSFER,
    "delete": NO_TRANSFER,
    "mirror_up": Cost(data=10, commands=60),
    "mirror_down": Cost(data=10, commands=60),
    "put_several": Cost(control=5, data=5, commands=75),
    "session": Cost(data=7, commands=60),
}
"""What an operation takes when the client does what it is told, and nothing else; trees have four files, there are five
files that go up at once, and three that go up and down in a session."""


class Client(ABC):
    """One client. All remote paths are relative to the login directory and have no slash at the front."""

    name: ClassVar[str]
    source: ClassVar[str]
    """Where it comes from, in a few words."""
    core: ClassVar[bool] = False
    """Whether a normal run has it; the others are for the nightly one."""
    modes: ClassVar[tuple[str, ...]] = ("explicit", "implicit", "clear")
    """The first is the one that everything but the logins is done in."""
    resumes: ClassVar[str] = "all"
    """Which of its data connections resume an earlier TLS session: `all`, `none`, or `not after uploads`, which says
    nothing of those that come next after one."""
    downloads_only: ClassVar[bool] = False
    lists: ClassVar[bool] = True
    """Whether it tells the names in a directory; one that only shows them in a window has `find` instead."""
    time_precision: ClassVar[int] = 1
    """Seconds to which it knows a remote file's time."""
    cannot: ClassVar[Mapping[str, str]] = {}
    """Names of cells that the client itself has nothing for, with the reason."""
    only_in_clear: ClassVar[Mapping[str, str]] = {}
    """Names of cells that the client can do without TLS only, with the reason; they are run so."""
    costs: ClassVar[Mapping[Operation, Cost]] = {}
    """Where it takes more than COSTS."""

    def __init__(self, access: Access, home: Path) -> None:
        """``home`` is an empty directory of the client's own, for its settings."""
        self.access = access
        self.home = home
        self.by_times = False
        """Whether `mirror_up` is to compare times too: the server keeps those of the client."""

    # -- what is installed ------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """What is not installed, in words, or None when the client can be run."""

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The installed version; only asked when nothing is missing."""

    # -- what it does -----------------------------------------------------------------------------------------------

    @abstractmethod
    def list(self, directory: str) -> Sequence[str]:
        """The names in a directory, as the client shows them."""

    def find(self, directory: str, files: Sequence[str]) -> None:
        """Read a directory's listing and download these files, for each of which it asks more if they are not in it."""
        raise NotImplementedError

    @abstractmethod
    def put(self, local: Path, remote: str) -> None:
        """Upload a file."""

    @abstractmethod
    def get(self, remote: str, local: Path) -> None:
        """Download a file."""

    def resume_get(self, remote: str, local: Path) -> None:
        """Fetch what the local file still lacks."""
        raise NotImplementedError

    def resume_put(self, local: Path, remote: str) -> None:
        """Send what the remote file still lacks."""
        raise NotImplementedError

    def append(self, local: Path, remote: str) -> None:
        """Send a file to the end of the remote one."""
        raise NotImplementedError

    def rename(self, old: str, new: str) -> None:
        """Rename a file."""
        raise NotImplementedError

    def make_directory(self, path: str) -> None:
        """Make a directory."""
        raise NotImplementedError

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        raise NotImplementedError

    def delete(self, path: str) -> None:
        """Delete a file."""
        raise NotImplementedError

    def get_time(self, remote: str, local: Path) -> float:
        """The remote file's time as the client tells it, or as it sets it on what it downloads; seconds since 1970."""
        raise NotImplementedError

    def put_time(self, local: Path, remote: str) -> None:
        """Upload a file, or only its time, so that the remote file has the time of the local one."""
        raise NotImplementedError

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        """Begin to download a large file, abort, and download `after` as if nothing had happened."""
        raise NotImplementedError

    def abort_put(self, local: Path, remote: str, after: Path, after_remote: str) -> None:
        """Begin to upload a large file, abort, and upload `after` as if nothing had happened."""
        raise NotImplementedError

    def mirror_up(self, local: Path, remote: str) -> None:
        """Make the remote directory, which exists, the same as the local one, without sending what is there."""
        raise NotImplementedError

    def mirror_down(self, remote: str, local: Path) -> None:
        """Make the local directory, which exists, the same as the remote one, without fetching what is there."""
        raise NotImplementedError

    def put_several(self, files: Mapping[Path, str]) -> None:
        """Upload files over several control connections at the same time: by its own means, or by several of it."""
        clients = []
        for number in range(len(files)):
            home = self.home / f"another {number}"
            home.mkdir()
            clients.append(type(self)(self.access, home))
        with ThreadPoolExecutor(len(files)) as pool:
            for done in [pool.submit(each.put, *file) for each, file in zip(clients, files.items(), strict=True)]:
                done.result()

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        """Upload files, list the directory that they go to, and download them to a local one: one thing after another,
        in as few sessions as the client needs. One that only downloads finds the files there."""
        raise NotImplementedError

    # -- what the suite asks ----------------------------------------------------------------------------------------

    @classmethod
    def cost(cls, operation: Operation) -> Cost:
        """The most that an operation may take."""
        return cls.costs.get(operation) or COSTS[operation]

    @classmethod
    def mode_for(cls, cell: Cell) -> str:
        """The mode that a cell is run in, unless it is about modes."""
        return "clear" if cell.name in cls.only_in_clear else cls.modes[0]

    @classmethod
    def why_not(cls, cell: Cell) -> str | None:
        """Why the client has nothing for a cell."""
        for mode, name in (("explicit", "explicit TLS"), ("implicit", "implicit TLS"), ("clear", "clear")):
            if cell.name == name and mode not in cls.modes:
                return cls.cannot.get(cell.name, "it has no TLS" if mode != "clear" else "it insists on TLS")
        if cell.name == "data resumes TLS" and "explicit" not in cls.modes:
            return "it has no TLS"
        if cell.name == "mirror by times":
            return cls.cannot.get("mirror up again") or cls.cannot.get("time up")
        return cls.cannot.get(cell.name) or cls.cannot.get(cell.column)

    @classmethod
    def runs(cls, cell: Cell) -> bool:
        """Whether a cell can be run."""
        return cls.why_not(cell) is None


def where_is(program: str) -> str | None:
    """What is missing when a program is not on PATH."""
    return None if shutil.which(program) else f"{program} is not installed"


def process(
    arguments: Sequence[str | Path],
    *,
    home: Path,
    directory: Path | None = None,
    stdin: str | bytes = b"",
    environment: Mapping[str, str] | None = None,
    accepted: Sequence[int] = (0,),
) -> str:
    """Run a client's program to its end; what it printed, errors too. Raises ClientFailed for another exit code."""
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=directory or home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
                **(environment or {}),
            },
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=OPERATION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        raise ClientFailed(f"{arguments[0]} did not end: {said}") from error
    said = done.stdout.decode(errors="surrogateescape")
    if done.returncode not in accepted:
        raise ClientFailed(f"{arguments[0]} ended with {done.returncode}: {said}")
    return said


def interrupted(
    arguments: Sequence[str | Path],
    *,
    home: Path,
    first: Sequence[str],
    middle: Callable[[Callable[[], None]], None],
    then: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a client's program that reads commands; what it printed. Raises ClientFailed when it does not end.

    After the `first` commands `middle` is called with what interrupts the program, as Ctrl-C does; then come the rest.
    """
    with subprocess.Popen(
        [str(argument) for argument in arguments],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as client:
        try:
            assert client.stdin is not None
            client.stdin.write("\n".join([*first, ""]).encode())
            client.stdin.flush()
            middle(lambda: client.send_signal(signal.SIGINT))
            said, _ = client.communicate("\n".join([*then, ""]).encode(), timeout=OPERATION_SECONDS)
        except subprocess.TimeoutExpired as error:
            client.kill()
            raise ClientFailed(f"{arguments[0]} did not end") from error
        except BaseException:
            client.kill()
            raise
    return said.decode(errors="surrogateescape")
