"""wget: downloads, single files and trees."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.integration.clients.client import Client, Cost, process, where_is

__all__ = ("Wget",)

UPLOADS = (
    *("put", "resume put", "append", "rename", "rename over", "mkdir", "mkdir again", "rmdir", "delete", "time up"),
    *("abort put", "mirror up", "mirror up again", "several at once"),
)


class Wget(Client):
    """Debian's wget, linked with GnuTLS."""

    name = "wget"
    source = "Debian wget"
    core = True
    downloads_only = True
    time_precision = 24 * 3600  # it reads LIST
    cannot = {
        **dict.fromkeys(UPLOADS, "it only downloads"),
        "abort get": "it cannot stop a download and go on",
        "name: blank first": "it cuts blanks off the fronts of names in LIST",
    }
    costs = {
        "get_time": Cost(data=2),  # it lists the directory first
        "resume_get": Cost(data=2),
        "session": Cost(control=3, data=3, commands=60),
    }

    @classmethod
    def missing(cls) -> str | None:
        return where_is("wget")

    @classmethod
    def version(cls) -> str:
        return process(["wget", "--version"], home=Path("/")).split()[2]

    def _wget(self, *arguments: str | Path) -> str:
        settings = self.home / "wgetrc"
        settings.write_text(
            f"user = {self.access.login}\npassword = {self.access.password}\n"
            f"ca_certificate = {self.access.certificate}\ntries = 1\ntimeout = 20\n"
        )
        options = ["--no-verbose", "--no-proxy", *(["--ftps-implicit"] if self.access.implicit else [])]
        return process(["wget", *options, *arguments], home=self.home, environment={"WGETRC": str(settings)})

    def _url(self, path: str) -> str:
        return f"{'ftps' if self.access.encrypted else 'ftp'}://127.0.0.1:{self.access.port}/{quote(path)}"

    def list(self, directory: str) -> Sequence[str]:
        index = self.home / "index.html"
        self._wget("--output-document", index, self._url(f"{directory}/"))
        names = re.findall(r'<a href="[^"]*">([^<]*)</a>', index.read_text())
        return [html.unescape(name).removesuffix("/") for name in names]

    def put(self, local: Path, remote: str) -> None:
        raise NotImplementedError

    def get(self, remote: str, local: Path) -> None:
        self._wget("--no-glob", "--output-document", local, self._url(remote))

    def resume_get(self, remote: str, local: Path) -> None:
        self._wget("--continue", "--directory-prefix", local.parent, self._url(remote))

    def get_time(self, remote: str, local: Path) -> float:
        self._wget("--timestamping", "--directory-prefix", local.parent, self._url(remote))
        return local.stat().st_mtime

    def session(self, files: Mapping[Path, str], directory: str, back: Path) -> None:
        self._wget("--directory-prefix", back, *(self._url(remote) for remote in files.values()))

    def mirror_down(self, remote: str, local: Path) -> None:
        cut = f"--cut-dirs={len(remote.split('/'))}"
        tree = ["--recursive", "--level=inf", "--timestamping", "--no-host-directories", cut]
        self._wget(*tree, "--directory-prefix", local, self._url(f"{remote}/"))
