"""lftp: a script of commands a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.clients.client import Client, Cost, process, where_is

__all__ = ("Lftp",)


def _quoted(text: str | Path) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Lftp(Client):
    """Debian's lftp, linked with GnuTLS."""

    name = "lftp"
    source = "Debian lftp"
    core = True
    cannot = {"append": "it has no command for it"}

    costs = {
        # It sets the time of what it has sent, with SITE UTIME where FEAT has nothing better; 504 is fine for it.
        "put": Cost(data=1, refused=1),
        "resume_put": Cost(data=1, refused=1),
        "abort_put": Cost(data=2, refused=2, broken=1),
        "session": Cost(data=7, refused=3, commands=60),
        "put_several": Cost(control=5, data=5, refused=5, commands=90),
        # It makes all directories on the way, also those that are there, and sets four times.
        "mirror_up": Cost(data=10, refused=6, commands=60),
        # It asks for the times of directories, which S3 does not have.
        "mirror_down": Cost(data=10, refused=2, commands=60),
    }

    @classmethod
    def missing(cls) -> str | None:
        return where_is("lftp")

    @classmethod
    def version(cls) -> str:
        return process(["lftp", "--version"], home=Path("/")).split()[3]

    def _lftp(self, *commands: str) -> str:
        script = [
            "set cmd:fail-exit yes",
            "set net:max-retries 1",
            "set net:timeout 20",
            "set net:reconnect-interval-base 1",
            "set xfer:clobber yes",
        ]
        if self.access.encrypted:
            script += ["set ftp:ssl-force yes", "set ftp:ssl-protect-data yes"]
            script += [f"set ssl:ca-file {_quoted(self.access.certificate)}"]
        else:
            script += ["set ftp:ssl-allow no"]
        script += [f"open -u {self.access.login},{self.access.password} {self.access.url}", *commands]
        (self.home / "script").write_text("\n".join(script))
        return process(["lftp", "--norc", "-f", "script"], home=self.home)

    def list(self, directory: str) -> Sequence[str]:
        shown = self._lftp(f"cls -1 --basename {_quoted(directory)}/").splitlines()
        return [name.removesuffix("/") for name in shown]

    def put(self, local: Path, remote: str) -> None:
        self._lftp(f"put {_quoted(local)} -o {_quoted(remote)}")

    def get(self, remote: str, local: Path) -> None:
        self._lftp(f"get {_quoted(remote)} -o {_quoted(local)}")

    def resume_get(self, remote: str, local: Path) -> None:
        self._lftp(f"get -c {_quoted(remote)} -o {_quoted(local)}")

    def resume_put(self, local: Path, remote: str) -> None:
        self._lftp(f"put -c {_quoted(local)} -o {_quoted(remote)}")

    def rename(self, old: str, new: str) -> None:
        self._lftp(f"mv {_quoted(old)} {_quoted(new)}")

    def make_directory(self, path: str) -> None:
        self._lftp(f"mkdir {_quoted(path)}")

    def remove_directory(self, path: str) -> None:
        self._lftp(f"rmdir {_quoted(path)}")

    def delete(self, path: str) -> None:
        self._lftp(f"rm {_quoted(path)}")

    def get_time(self, remote: str, local: Path) -> float:
        self.get(remote, local)
        return local.stat().st_mtime

    def put_time(self, local: Path, remote: str) -> None:
        self.put(local, remote)

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        self._abort(f"get {_quoted(remote)} -o cut", f"get {_quoted(after)} -o {_quoted(local)}")

    def abort_put(self, local: Path, remote: str, after: Path, after_remote: str) -> None:
        self._abort(f"put {_quoted(local)} -o {_quoted(remote)}", f"put {_quoted(after)} -o {_quoted(after_remote)}")

    def _abort(self, first: str, then: str) -> None:
        # At this rate the first would take 20 s: a second later it is in its middle.
        slowly = ["set net:limit-rate 2M", f"{first} &", "sleep 1", "kill all", "set net:limit-rate 0"]
        self._lftp(*slowly, then)

    def mirror_up(self, local: Path, remote: str) -> None:
        compared = "" if self.by_times else "--ignore-time"
        self._lftp(f"mirror --reverse {compared} {_quoted(local)} {_quoted(remote)}")

    def mirror_down(self, remote: str, local: Path) -> None:
        self._lftp(f"mirror {_quoted(remote)} {_quoted(local)}")

    def put_several(self, files: Mapping[Path, str]) -> None:
        puts = [f"put {_quoted(local)} -o {_quoted(remote)} &" for local, remote in files.items()]
        self._lftp(*puts, "wait all")

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        puts = [f"put {_quoted(local)} -o {_quoted(remote)}" for local, remote in files.items()]
        gets = [f"get {_quoted(remote)} -o {_quoted(back / local.name)}" for local, remote in files.items()]
        self._lftp(*puts, f"cls -1 {_quoted(directory)}/", *gets)
