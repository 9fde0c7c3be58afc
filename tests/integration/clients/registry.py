"""All drivers, in the order of the page."""

from __future__ import annotations

from tests.integration.clients.client import Client
from tests.integration.clients.drivers.curl import Curl
from tests.integration.clients.drivers.filezilla import FileZilla
from tests.integration.clients.drivers.gtk import Gftp, Gvfs
from tests.integration.clients.drivers.lftp import Lftp
from tests.integration.clients.drivers.ncftp import Ncftp
from tests.integration.clients.drivers.programs import (
    BasicFtp,
    CommonsNet,
    FtpNpm,
    Jlaffaye,
    NetFtp,
    PhpFtp,
    RubyNetFtp,
    Suppaftp,
)
from tests.integration.clients.drivers.python import AioftpClient, Ftplib
from tests.integration.clients.drivers.rclone import Rclone
from tests.integration.clients.drivers.text import FtpSsl, Inetutils, Tnftp
from tests.integration.clients.drivers.wget import Wget

__all__ = ("CLIENTS", "chosen")

CLIENTS: tuple[type[Client], ...] = (
    *(FileZilla, Curl, Lftp, Wget, Ftplib, AioftpClient, Rclone, Tnftp, Inetutils, FtpSsl, Ncftp, Gftp, Gvfs),
    *(CommonsNet, BasicFtp, FtpNpm, PhpFtp, NetFtp, RubyNetFtp, Jlaffaye, Suppaftp),
)


def chosen(names: str) -> tuple[type[Client], ...]:
    """The drivers of `--clients`: `core`, `all`, or names parted by commas. Raises KeyError for an unknown name."""
    if names in ("core", "all"):
        return tuple(client for client in CLIENTS if names == "all" or client.core)
    by_name = {client.name: client for client in CLIENTS}
    return tuple(by_name[name] for name in names.split(","))
