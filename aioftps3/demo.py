"""`aioftps3 demo`: an FTPS server with nothing set up, on loopback, in front of an S3 inside the same process."""

import asyncio
import contextlib
import secrets
import shlex
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aioftps3 import app, process, settings
from aioftps3.certificates import make_self_signed
from aioftps3.embedded import EmbeddedError, EmbeddedS3

__all__ = ("run",)

HOST = "127.0.0.1"
BUCKET = "demo"
LOGIN = "demo"

EXPLICIT_PORT = 8021
IMPLICIT_PORT = 8022
DATA_PORTS = "8023-8042"
ANY_FREE_PORTS = "0"

PASSWORD_BYTES = 9
KEY_BYTES = 20

GRACE = "3"
"""Seconds: whoever presses Ctrl-C in a demo does not want to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a client has to know."""

    port: int
    implicit_port: int
    data_ports: str
    password: str
    certificate: Path
    fingerprint: str
    directory: Path | None


def run(directory: Path | None, say: Callable[[str], None]) -> int:
    """Serve until Ctrl-C; the exit code. Files are kept in the directory, or in memory. `say` prints a line.

    Raises StartError.
    """
    process.pin_malloc()
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(_serve(directory, say))


async def _serve(directory: Path | None, say: Callable[[str], None]) -> int:
    key, secret = secrets.token_hex(KEY_BYTES // 2), secrets.token_hex(KEY_BYTES)
    made = make_self_signed(["localhost", HOST], now=datetime.now(UTC))
    port, implicit_port, data_ports = _free_ports()
    s3 = EmbeddedS3(bucket=BUCKET, access_key=key, secret_key=secret, directory=directory)
    with _temporary_files(made.certificate, made.pem) as (certificate, both):
        access = Access(
            port=port,
            implicit_port=implicit_port,
            data_ports=data_ports,
            password=secrets.token_hex(PASSWORD_BYTES),
            certificate=certificate,
            fingerprint=made.fingerprint,
            directory=directory,
        )
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(s3)
            except (EmbeddedError, OSError) as error:
                raise app.StartError(f"the files cannot be kept there: {error}") from error
            configured = settings.load(
                {
                    "AWS_ACCESS_KEY_ID": key,
                    "AWS_SECRET_ACCESS_KEY": secret,
                    "AWS_S3_BUCKET_HOST": s3.url,
                    "AWS_S3_BUCKET_NAME": BUCKET,
                    "FTP_USER_LOGIN": LOGIN,
                    "FTP_USER_PASSWORD": access.password,
                    "AIOFTPS3_HOST": HOST,
                    "AIOFTPS3_PORT": str(port),
                    "AIOFTPS3_IMPLICIT_PORT": str(implicit_port),
                    "AIOFTPS3_DATA_PORTS": data_ports,
                    "AIOFTPS3_TLS_CERT": str(both),
                    "AIOFTPS3_SHUTDOWN_GRACE": GRACE,
                }
            )
            app.configure_logs(configured)

            def announce(addresses: app.Addresses) -> None:
                say(manual(access))
                say(app.ready_line(addresses))

            return await app.serve(configured, announce, hangup_ends=True)


def manual(access: Access) -> str:
    """What to paste into which client."""
    explicit, implicit = f"ftp://{HOST}:{access.port}", f"ftps://{HOST}:{access.implicit_port}"
    ca, user = shlex.quote(str(access.certificate)), f"{LOGIN}:{access.password}"
    kept = f"kept in {access.directory}" if access.directory else "forgotten at the end (--directory DIR keeps them)"
    moved = "" if access.port == EXPLICIT_PORT else f"Ports {EXPLICIT_PORT} and up are taken: free ones are used.\n"
    lftp_settings = f"set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:ca-file {access.certificate}"
    return f"""\
aioftps3 demo: FTPS on this machine alone, in front of an S3 inside this process. A development aid.
Files are {kept}. Ctrl-C ends it.
{moved}
  host         {HOST}
  port         {access.port} for explicit TLS, {access.implicit_port} for implicit TLS
  user         {LOGIN}
  password     {access.password}
  certificate  {access.certificate}
  SHA-256      {access.fingerprint}

curl, up and down, over explicit and over implicit TLS:
  curl --ssl-reqd --cacert {ca} -u {user} -T README.md {explicit}/
  curl --ssl-reqd --cacert {ca} -u {user} {implicit}/README.md

lftp, explicit and implicit (then for example: mirror -R DIRECTORY):
  lftp -u {LOGIN},{access.password} -e {shlex.quote(lftp_settings)} {explicit}
  lftp -u {LOGIN},{access.password} -e {shlex.quote(lftp_settings)} {implicit}

FileZilla, File > Site Manager > New site:
  Protocol FTP, host {HOST}, port {access.port}, encryption "Require explicit FTP over TLS",
  logon type Normal, user {LOGIN}, password {access.password}; compare the SHA-256 fingerprint when it asks.

Python:
  import ftplib, ssl
  ftp = ftplib.FTP_TLS(context=ssl.create_default_context(cafile={str(access.certificate)!r}))
  ftp.connect({HOST!r}, {access.port}); ftp.login({LOGIN!r}, {access.password!r}); ftp.prot_p()
  ftp.storbinary("STOR README.md", open("README.md", "rb")); print(list(ftp.mlsd()))
"""


@contextlib.contextmanager
def _temporary_files(certificate: bytes, both: bytes) -> Iterator[tuple[Path, Path]]:
    """The certificate for clients, and with its key for the server, in a directory that nobody else can read."""
    with tempfile.TemporaryDirectory(prefix="aioftps3-demo-") as name:
        paths = Path(name) / "certificate.pem", Path(name) / "certificate-and-key.pem"
        for path, content in zip(paths, (certificate, both), strict=True):
            path.write_bytes(content)
        yield paths


def _free_ports() -> tuple[int, int, str]:
    """The usual ports when all of them are free, else any: explicit, implicit and data ports."""
    usual = range(EXPLICIT_PORT, int(DATA_PORTS.partition("-")[2]) + 1)
    if all(_is_free(port) for port in usual):
        return EXPLICIT_PORT, IMPLICIT_PORT, DATA_PORTS
    with _bound(0) as explicit, _bound(0) as implicit:
        return explicit.getsockname()[1], implicit.getsockname()[1], ANY_FREE_PORTS


def _is_free(port: int) -> bool:
    try:
        _bound(port).close()
    except OSError:
        return False
    return True


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock
