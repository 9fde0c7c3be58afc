"""curl: one URL a transfer, everything else by quoted commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.integration.clients.client import Client, Cost, process, where_is

__all__ = ("Curl",)


class Curl(Client):
    """Debian's curl."""

    name = "curl"
    source = "Debian curl"
    core = True
    resumes = "not after uploads"  # until 8.9
    cannot = {
        "time up": "it sends no times",
        "abort put": "it cannot stop an upload and go on",
        "mirror up": "it knows single files only",
        "mirror down": "it knows single files only",
        "mirror up again": "it knows single files only",
        "mirror down again": "it knows single files only",
    }
    costs = {"abort_get": Cost(control=2, data=2, refused=1, broken=1)}  # after a range it connects anew

    @classmethod
    def missing(cls) -> str | None:
        return where_is("curl")

    @classmethod
    def version(cls) -> str:
        return process(["curl", "--version"], home=Path("/")).split()[1]

    def _url(self, path: str) -> str:
        return f"{self.access.url}/{quote(path)}"

    def _options(self) -> list[str]:
        settings = self.home / "curlrc"
        settings.write_text(f'user = "{self.access.login}:{self.access.password}"\n')
        options = ["--config", str(settings), "--silent", "--show-error", "--globoff", "--noproxy", "*"]
        if self.access.encrypted:
            options += ["--ssl-reqd", "--cacert", str(self.access.certificate)]
        return options

    def _curl(self, *arguments: str | Path) -> str:
        return process(["curl", "--disable", *self._options(), *arguments], home=self.home)

    def _quote(self, *commands: str) -> None:
        quoted = [word for command in commands for word in ("--quote", command)]
        self._curl("--head", "--output", self.home / "nothing", *quoted, self._url(""))

    def list(self, directory: str) -> Sequence[str]:
        return self._curl("--list-only", self._url(f"{directory}/")).splitlines()

    def put(self, local: Path, remote: str) -> None:
        self._curl("--upload-file", local, self._url(remote))

    def get(self, remote: str, local: Path) -> None:
        local.touch()  # curl makes no file when there are no bytes
        self._curl("--output", local, self._url(remote))

    def resume_get(self, remote: str, local: Path) -> None:
        self._curl("--continue-at", "-", "--output", local, self._url(remote))

    def resume_put(self, local: Path, remote: str) -> None:
        self._curl("--continue-at", "-", "--upload-file", local, self._url(remote))

    def append(self, local: Path, remote: str) -> None:
        self._curl("--append", "--upload-file", local, self._url(remote))

    def rename(self, old: str, new: str) -> None:
        self._quote(f"RNFR {old}", f"RNTO {new}")

    def make_directory(self, path: str) -> None:
        self._quote(f"MKD {path}")

    def remove_directory(self, path: str) -> None:
        self._quote(f"RMD {path}")

    def delete(self, path: str) -> None:
        self._quote(f"DELE {path}")

    def get_time(self, remote: str, local: Path) -> float:
        self._curl("--remote-time", "--output", local, self._url(remote))
        return local.stat().st_mtime

    def abort_get(self, remote: str, after: str, local: Path) -> None:
        begun = ["--range", "0-99", "--output", str(self.home / "cut"), self._url(remote)]
        self._curl(*begun, "--next", *self._options(), "--output", local, self._url(after))

    def put_several(self, files: Mapping[Path, str]) -> None:
        pairs: list[str | Path] = []
        for local, remote in files.items():
            pairs += ["--upload-file", local, self._url(remote)]
        self._curl("--parallel", *pairs)

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        same = ["--next", *self._options()]
        line: list[str | Path] = []
        for local, remote in files.items():
            line += ["--upload-file", local, self._url(remote), *same]
        line += ["--output", self.home / "listing", self._url(f"{directory}/")]
        for local, remote in files.items():
            line += [*same, "--output", back / local.name, self._url(remote)]
        self._curl(*line)
