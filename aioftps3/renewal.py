"""A certificate's files are looked at again and again, so that a renewed certificate needs no restart.

What must stay true:

- What does not prove to be a certificate and its key changes nothing, and is said.
- New sessions get the new certificate; those that run go on (`ServerTls`).
- Files are read beside the event loop: they may be on a network.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from pathlib import Path

from aioftps3.keypair import KeyPair, reason
from aioftps3.tls import ServerTls

__all__ = ("CertificateWatch",)

LOOK_SECONDS = 30.0
"""How often the files are looked at. They are read when they have changed and then stayed the same for one look: a
certificate and its key are written one after the other."""

WARN_SECONDS = 24 * 3600.0
"""How often the same warning is repeated."""

log = logging.getLogger(__name__)


class CertificateWatch:
    """Gives a renewed certificate to the server, and warns of one that is not renewed."""

    def __init__(
        self, tls: ServerTls, certificate: Path, key: Path | None, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        """``key`` is None when it is in the certificate's file."""
        self._tls = tls
        self._certificate = certificate
        self._key = key
        self._look_seconds = look_seconds
        self._asked = asyncio.Event()
        self._state: tuple[object, ...] = ()
        self._settling = False
        self._silent_until = 0.0

    def read_now(self) -> None:
        """Read the files soon, changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._warn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            state = await asyncio.to_thread(self._look)
            changed, self._state = state != self._state, state
            if asked or (self._settling and not changed):
                await self._read(asked)
            self._settling = changed and not asked

    def _look(self) -> tuple[object, ...]:
        """What changes when a file does, or when a link goes to another one."""
        state: list[object] = []
        for path in (self._certificate, self._key or self._certificate):
            try:
                found = path.stat()
                state.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))
            except OSError as error:
                state.append(error.errno)
        return tuple(state)

    async def _read(self, asked: bool) -> None:
        old = self._tls.pair
        try:
            pair = await asyncio.to_thread(KeyPair.load, self._certificate, self._key)
            if pair == old:
                log.log(logging.INFO if asked else logging.DEBUG, "certificate %s is the same", self._certificate)
                return
            pair.check_expiry(datetime.now(UTC))
            self._tls.renew(pair)
        except (OSError, ValueError) as error:
            log.log(
                logging.ERROR,  # no traceback: the reason says it all
                "certificate %s is not taken, %s: the one with SHA-256 fingerprint %s stays, %s",
                self._certificate,
                reason(error),
                old.fingerprint,
                old.expiry,
            )
            return
        self._silent_until = 0.0
        log.info("certificate %s renewed, SHA-256 fingerprint %s, %s", self._certificate, pair.fingerprint, pair.expiry)

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until and (warning := self._tls.pair.warning(datetime.now(UTC))) is not None:
            level, text = warning
            log.log(level, "certificate %s %s", self._certificate, text)
            self._silent_until = now + WARN_SECONDS
