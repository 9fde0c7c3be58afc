"""Certificates that are renewed while the server runs; in virtual time, and with threads that are done at once."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aioftps3 import renewal
from aioftps3.certificates import make_self_signed
from aioftps3.keypair import KeyPair
from aioftps3.renewal import LOOK_SECONDS, WARN_SECONDS, CertificateWatch
from aioftps3.tls import ServerTls
from tests.support.virtual_time import run_in_virtual_time

T = TypeVar("T")
DAY = timedelta(days=1)


def made(*, days: float = 90, ago: float = 0) -> KeyPair:
    now = datetime.now(UTC)
    return make_self_signed(["localhost"], now=now - ago * DAY, validity=days * DAY)


class AtOnce(ThreadPoolExecutor):
    """Threads would take real time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # it is raised where the future is awaited
            done.set_exception(error)
        return done


class Scene:
    """Files, a server's TLS that began with them, and what watches them."""

    def __init__(self, directory: Path, pair: KeyPair) -> None:
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.write(pair)
        self.tls = ServerTls(pair)
        self.watch = CertificateWatch(self.tls, self.certificate, self.key)

    def write(self, pair: KeyPair) -> None:
        self.certificate.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)

    @contextmanager
    def watching(self) -> Iterator[None]:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        task = asyncio.create_task(self.watch.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()

    def during(self, act: Coroutine[Any, Any, None]) -> None:
        async def scenario() -> None:
            with self.watching():
                await looks(2)
                await act

        run_in_virtual_time(scenario())


async def looks(count: int) -> None:
    """Let time pass in which the files are looked at so many times."""
    await asyncio.sleep(count * LOOK_SECONDS + 1)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.fixture(autouse=True)
def _levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, renewal.__name__)


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """P20."""
    old, new = made(), made(days=30)
    scene = Scene(tmp_path, old)
    running = scene.tls.session_context()

    async def act() -> None:
        assert scene.tls.pair is old
        scene.write(new)
        await looks(2)
        assert scene.tls.pair == new
        assert scene.tls.session_context() is not running

    scene.during(act())
    assert lines(caplog, logging.INFO) == [
        f"certificate {scene.certificate} renewed, SHA-256 fingerprint {new.fingerprint}, {new.expiry}"
    ]


def test_a_link_that_is_set_to_another_file_is_a_change(tmp_path: Path) -> None:
    """As certbot renews, and Kubernetes."""
    old, new = made(), made()
    for number, pair in enumerate((old, new)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cert.pem").write_bytes(pair.pem)
    (tmp_path / "live").symlink_to("0")
    tls = ServerTls(old)

    async def scenario() -> None:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        task = asyncio.create_task(CertificateWatch(tls, tmp_path / "live" / "cert.pem", None).run())
        await looks(2)
        (tmp_path / "next").symlink_to("1")
        (tmp_path / "next").rename(tmp_path / "live")
        await looks(2)
        task.cancel()

    run_in_virtual_time(scenario())
    assert tls.pair.certificate == new.pem


def test_files_that_still_change_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate is written before its key, or behind it."""
    new = made()
    scene = Scene(tmp_path, made())

    async def act() -> None:
        for size in range(10, len(new.certificate), 100):
            scene.certificate.write_bytes(new.certificate[:size])
            await looks(1)
        scene.certificate.write_bytes(new.certificate)
        await looks(1)
        scene.key.write_bytes(new.key)
        await looks(2)
        assert scene.tls.pair == new

    scene.during(act())
    assert lines(caplog, logging.ERROR) == []


def test_it_is_read_at_once_when_that_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    new = made()
    scene = Scene(tmp_path, made())

    async def act() -> None:
        scene.watch.read_now()
        await asyncio.sleep(1)
        assert lines(caplog, logging.INFO) == [f"certificate {scene.certificate} is the same"]
        scene.write(new)
        scene.watch.read_now()
        await asyncio.sleep(1)
        assert scene.tls.pair == new
        await looks(3)

    scene.during(act())
    assert len(caplog.records) == 2


def test_the_same_bytes_in_another_file_are_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, made())
    context = scene.tls.session_context()

    async def act() -> None:
        os.utime(scene.certificate, (1, 1))
        await looks(3)

    scene.during(act())
    assert scene.tls.session_context() is context
    assert not caplog.records


@pytest.mark.parametrize("kind", ["of two pairs", "half", "empty", "trusted", "gone", "expired", "encrypted"])
def test_what_is_no_good_is_refused_and_the_old_one_stays(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = made(), made()
    scene = Scene(tmp_path, old)
    context = scene.tls.session_context()
    reasons = {
        "of two pairs": "KEY_VALUES_MISMATCH",
        "half": "",
        "empty": "there is no CERTIFICATE in it",
        "trusted": "its first certificate is no plain CERTIFICATE",
        "gone": "No such file or directory",
        "expired": "it has expired at ",
        "encrypted": "the key is encrypted",
    }

    async def act() -> None:
        if kind == "of two pairs":
            scene.certificate.write_bytes(new.certificate)
        elif kind == "half":
            scene.write(KeyPair(new.certificate[: len(new.certificate) // 2], new.key))
        elif kind == "empty":
            scene.write(KeyPair(b"", b""))
        elif kind == "trusted":
            scene.write(KeyPair(new.certificate.replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-"), new.key))
        elif kind == "gone":
            scene.certificate.unlink()
        elif kind == "expired":
            scene.write(made(days=1, ago=1))
        else:
            scene.key.write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        await looks(5)
        assert scene.tls.session_context() is context
        (line,) = lines(caplog, logging.ERROR)
        assert line.startswith(f"certificate {scene.certificate} is not taken, {reasons[kind]}")
        assert line.endswith(f"the one with SHA-256 fingerprint {old.fingerprint} stays, {old.expiry}")
        assert "PRIVATE" not in line
        scene.watch.read_now()  # whoever asks is told again
        await asyncio.sleep(1)
        assert len(lines(caplog, logging.ERROR)) == 2
        scene.write(new)
        await looks(2)
        assert scene.tls.pair == new

    scene.during(act())


def test_one_that_is_about_to_expire_is_warned_of_each_day_until_it_is_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tmp_path, made(days=10, ago=9))

    async def act() -> None:
        assert len(lines(caplog, logging.WARNING)) == 1
        await asyncio.sleep(3 * WARN_SECONDS)
        warnings = lines(caplog, logging.WARNING)
        assert len(warnings) == 4
        assert all(line.startswith(f"certificate {scene.certificate} expires at ") for line in warnings)
        assert all(line.endswith(", in 1.0 days") for line in warnings)
        scene.write(made(days=10, ago=8.5))
        await looks(3)
        assert len(lines(caplog, logging.WARNING)) == 5, "the new one is not warned of at once"
        scene.write(made())
        await asyncio.sleep(3 * WARN_SECONDS)
        assert len(lines(caplog, logging.WARNING)) == 5

    scene.during(act())


def test_one_that_has_expired_is_an_error_of_each_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, made(days=1, ago=2))

    async def act() -> None:
        await asyncio.sleep(WARN_SECONDS)
        errors = lines(caplog, logging.ERROR)
        assert len(errors) == 2
        assert all(f"certificate {scene.certificate} has expired at " in line for line in errors)

    scene.during(act())
