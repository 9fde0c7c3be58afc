"""What is measured and what it stands on: the daemon, rclone, MinIO with its own FTP server, the sink and the relay.

A `Store` is an S3 to write to; a `Gateway` an FTP server in front of one. All listen on loopback, with a certificate
made for the run, and live as long as the `Lab` block that they were started in.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from aioftps3.certificates import make_self_signed
from bench.processes import HOST, LOWEST_PORT, ROOT, BenchError, Process, free_port, free_range
from bench.programs import Programs

__all__ = (
    "AIOFTPS3",
    "MINIO",
    "MINIO_FTP",
    "MINIO_HTTPS",
    "RCLONE",
    "RELAY",
    "SINK",
    "Access",
    "Gateway",
    "Lab",
    "Store",
)

AIOFTPS3 = "aioftps3"
RCLONE = "rclone"
MINIO_FTP = "MinIO's FTP"

SINK = "sink"
MINIO = "MinIO"
MINIO_HTTPS = "MinIO https"
RELAY = "MinIO behind the relay"

BUCKET = "bench"
REGION = "us-east-1"

# They open nothing but servers on this machine's loopback, for the length of a run.
ACCESS_KEY = "bench-access-key"
SECRET_KEY = "bench-secret-key"
LOGIN = "bench"
PASSWORD = "bench-password"

DATA_PORTS = 400
"""Passive ports for the servers that want a range: more than there are transfers at once."""

MAX_SESSIONS = 20_000

_IMAGE_MALLOC = re.compile(r"^\s+((?:MALLOC|GLIBC)_\w+)=(\S+)", re.MULTILINE)
"""What the Dockerfile sets for glibc's malloc."""

DISK_RESERVE_BYTES = 4 * 1024**3
"""Left free on the disk whatever is measured."""

CONTROL_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An S3 on loopback."""

    name: str
    url: str
    process: Process
    control_port: int | None = None
    """Where the sink and the relay tell their counts; None for MinIO itself."""
    data: Path | None = None
    """MinIO's directory."""
    certificate: Path | None = None

    def reset(self, *, delay_ms: float = 0) -> None:
        """Count anew, and add this time to each request from now on."""
        self._control(f"reset?delay_ms={delay_ms:g}")

    def counts(self) -> dict[str, int]:
        """The S3 requests since `reset` by their operation."""
        counts: dict[str, int] = json.loads(self._control("counts"))
        return counts

    def _control(self, path: str) -> bytes:
        if self.control_port is None:
            raise BenchError(f"{self.name} does not count requests")
        with urllib.request.urlopen(f"http://{HOST}:{self.control_port}/-/{path}", timeout=CONTROL_SECONDS) as answer:
            body: bytes = answer.read()
            return body

    def empty_trash(self) -> None:
        """Free the disk of what was deleted: MinIO itself does so much later."""
        if self.data is not None:
            for rubbish in (self.data / ".minio.sys" / "tmp" / ".trash").glob("*"):
                shutil.rmtree(rubbish, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How clients get in."""

    name: str
    """Of the server, for messages."""
    port: int
    certificate: Path
    implicit: bool = False
    data_tls: bool = True
    directory: str = "/"
    """Where files are put; ends with a slash."""
    login: str = LOGIN
    password: str = field(default=PASSWORD, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """An FTP server in front of a store."""

    name: str
    store: Store
    process: Process
    access: Access


class Lab:
    """Starts servers, and stops all of them at the end of its block, the last one first."""

    def __init__(self, directory: Path, logs: Path, programs: Programs, settings: Mapping[str, str]) -> None:
        """`directory` is for this lab alone, and goes with it; `settings` are the daemon's, besides those set here."""
        self.directory = directory
        self._logs = logs
        self.programs = programs
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._lowest_data_port = LOWEST_PORT
        self.certificate = directory / "public.crt"
        self._key = directory / "private.key"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        made = make_self_signed(["localhost", HOST], now=datetime.now(UTC))
        self.certificate.write_bytes(made.certificate)
        self._key.touch(mode=0o600)
        self._key.write_bytes(made.key)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check_disk(self, wanted_bytes: int) -> None:
        """Raises BenchError when so much would not leave the reserve free."""
        free = shutil.disk_usage(self.directory).free
        if free < wanted_bytes + DISK_RESERVE_BYTES:
            raise BenchError(f"too little disk: {free // 1024**2} MiB are free")

    def _start(self, name: str, command: list[str | Path], environment: Mapping[str, str] | None = None) -> Process:
        log = self._logs / f"{name.replace(' ', '-')}.log"
        process = Process(name, command, home=self.directory, log=log, environment=environment)
        return self._stack.enter_context(process)

    def _data_ports(self) -> tuple[int, int]:
        """A range that no other server of this lab has."""
        first, last = free_range(DATA_PORTS, self._lowest_data_port)
        self._lowest_data_port = last + 1
        return first, last

    # -- stores -----------------------------------------------------------------------------------------------------

    def sink(self) -> Store:
        """An S3 that keeps nothing."""
        port = free_port()
        process = self._start("sink", [sys.executable, "-m", "bench.sink", str(port)])
        process.wait_for_port(port)
        return Store(name=SINK, url=f"http://{HOST}:{port}", process=process, control_port=port)

    def relay(self, minio: Store) -> Store:
        """MinIO with time added to each request, and the requests counted."""
        port = free_port()
        command: list[str | Path] = [sys.executable, "-m", "bench.relay", str(port), minio.url.rpartition(":")[2]]
        process = self._start("relay", command)
        process.wait_for_port(port)
        return Store(name=RELAY, url=f"http://{HOST}:{port}", process=process, control_port=port)

    def minio(self, *, https: bool = False) -> Store:
        """MinIO with an empty bucket. Raises BenchError when there is no MinIO."""
        return self._minio(https=https, ftp=[])[0]

    def minio_with_ftp(self) -> tuple[Store, Gateway]:
        """MinIO over http, with its own FTP server. Raises BenchError when there is no MinIO."""
        port = free_port()
        first, last = self._data_ports()
        options = (
            f"address={HOST}:{port}",
            f"passive-port-range={first}-{last}",
            f"tls-private-key={self._key}",
            f"tls-public-cert={self.certificate}",
        )
        store, process = self._minio(https=False, ftp=[f"--ftp={option}" for option in options])
        process.wait_for_port(port)
        access = Access(
            name=MINIO_FTP,
            port=port,
            certificate=self.certificate,
            directory=f"/{BUCKET}/",
            login=ACCESS_KEY,
            password=SECRET_KEY,
        )
        return store, Gateway(name=MINIO_FTP, store=store, process=process, access=access)

    def _minio(self, *, https: bool, ftp: list[str]) -> tuple[Store, Process]:
        if self.programs.minio is None:
            raise BenchError("there is no MinIO")
        port = free_port()
        data = self.directory / ("minio-https" if https else "minio")
        data.mkdir()
        command: list[str | Path] = [self.programs.minio, "server", "--quiet", "--address", f"{HOST}:{port}", *ftp]
        if https:
            command += ["--certs-dir", self.directory]
        environment = {
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        process = self._start(data.name, [*command, data], environment)
        process.wait_for_port(port)
        url = f"{'https' if https else 'http'}://{HOST}:{port}"
        self._make_bucket(url)
        name = MINIO_HTTPS if https else MINIO
        certificate = self.certificate if https else None
        return Store(name=name, url=url, process=process, data=data, certificate=certificate), process

    def _make_bucket(self, url: str) -> None:
        """curl signs, and tries again while MinIO is not ready."""
        command = [
            "curl",
            "--disable",
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--config",
            "-",
            "--noproxy",
            "*",
        ]
        command += ["--cacert", str(self.certificate), "--aws-sigv4", f"aws:amz:{REGION}:s3", "--request", "PUT"]
        command += ["--retry", "20", "--retry-delay", "1", "--retry-connrefused", "--max-time", "30", f"{url}/{BUCKET}"]
        made = subprocess.run(
            command, input=f'user = "{ACCESS_KEY}:{SECRET_KEY}"\n', capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise BenchError(f"MinIO makes no bucket: {made.stderr.strip()}")

    # -- gateways ---------------------------------------------------------------------------------------------------

    def aioftps3(self, store: Store) -> Gateway:
        """The daemon of this checkout, with malloc as the image sets it."""
        environment = {
            **dict(_IMAGE_MALLOC.findall((ROOT / "Dockerfile").read_text(encoding="utf-8"))),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_S3_BUCKET_NAME": BUCKET,
            "AWS_S3_BUCKET_REGION": REGION,
            "AWS_S3_BUCKET_HOST": store.url,
            "FTP_USER_LOGIN": LOGIN,
            "FTP_USER_PASSWORD": PASSWORD,
            "AIOFTPS3_HOST": HOST,
            "AIOFTPS3_PORT": "0",
            "AIOFTPS3_IMPLICIT_PORT": "0",
            "AIOFTPS3_DATA_PORTS": "0",
            "AIOFTPS3_TLS_CERT": str(self.certificate),
            "AIOFTPS3_TLS_KEY": str(self._key),
            "AIOFTPS3_MAX_SESSIONS": str(MAX_SESSIONS),
            "AIOFTPS3_MAX_SESSIONS_PER_ADDRESS": str(MAX_SESSIONS),
            "AIOFTPS3_MEMORY_BUDGET": "256MiB",
            **self._settings,
        }
        if store.certificate is not None:
            environment["AWS_CA_BUNDLE"] = str(store.certificate)
        command: list[str | Path] = [sys.executable, "-m", "aioftps3", "serve"]
        process = self._start(f"{AIOFTPS3} on {store.name}", command, environment)
        port = int(process.wait_for_log(rf"^ready ftp://{HOST}:(\d+)")[1])
        process.wait_for_log("the bucket can be listed")
        access = Access(name=process.name, port=port, certificate=self.certificate)
        return Gateway(name=AIOFTPS3, store=store, process=process, access=access)

    def rclone(self, store: Store) -> Gateway:
        """`rclone serve ftp`, implicit TLS. Raises BenchError when there is no rclone."""
        if self.programs.rclone is None:
            raise BenchError("there is no rclone")
        port = free_port()
        first, last = self._data_ports()
        environment = {
            "RCLONE_CONFIG": str(self.directory / "rclone.conf"),
            "RCLONE_CONFIG_STORE_TYPE": "s3",
            "RCLONE_CONFIG_STORE_PROVIDER": "Minio",
            "RCLONE_CONFIG_STORE_ENDPOINT": store.url,
            "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": SECRET_KEY,
            "RCLONE_USER": LOGIN,
            "RCLONE_PASS": PASSWORD,
        }
        if store.name == SINK:
            # It would compare a hash of what the sink has forgotten.
            environment["RCLONE_CONFIG_STORE_USE_MULTIPART_ETAG"] = "false"
        command: list[str | Path] = [self.programs.rclone, "serve", "ftp", "--addr", f"{HOST}:{port}"]
        command += ["--cert", self.certificate, "--key", self._key, "--passive-port", f"{first}-{last}"]
        process = self._start(f"{RCLONE} on {store.name}", [*command, f"store:{BUCKET}"], environment)
        process.wait_for_port(port)
        # Over TLS its control connections are implicit only, and its data connections never encrypted.
        access = Access(name=process.name, port=port, certificate=self.certificate, implicit=True, data_tls=False)
        return Gateway(name=RCLONE, store=store, process=process, access=access)
