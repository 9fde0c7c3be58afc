"""How much is measured, and where the values are kept until the report."""

from __future__ import annotations

import contextlib
import ftplib
from collections.abc import Iterator
from dataclasses import dataclass

from bench.processes import BenchError
from bench.programs import say
from bench.report import Figure
from bench.servers import Gateway

__all__ = ("FULL", "KIB", "MIB", "QUICK", "Record", "Scale")

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes and counts."""

    large_bytes: int = 1024 * MIB
    warm_bytes: int = 32 * MIB
    small_files: int = 200
    small_bytes: int = 10 * KIB
    delay_ms: float = 25.0
    """Added to each S3 request where S3 is to be far away."""
    list_counts: tuple[int, ...] = (1_000, 20_000, 100_000)
    list_peers_up_to: int = 1_000
    """rclone asks S3 about each file: more would take minutes."""
    at_once: tuple[int, ...] = (50, 200)
    at_once_bytes: int = 20 * MIB
    idle: tuple[int, ...] = (500, 5_000)
    idle_warm: int = 20
    rounds: int = 3
    quick: bool = False

    def delay_text(self, delay_ms: float) -> str:
        """As it stands in the names of cases."""
        return f"S3 at {delay_ms:g} ms"


FULL = Scale()

QUICK = Scale(
    large_bytes=32 * MIB,
    warm_bytes=MIB,
    small_files=10,
    list_counts=(100, 2_000, 5_000),
    list_peers_up_to=100,
    at_once=(5, 10),
    at_once_bytes=2 * MIB,
    idle=(40, 60),
    idle_warm=5,
    rounds=1,
    quick=True,
)
"""Only shows that all of it works."""


class Record:
    """What was measured so far, and what could not be."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str, str, str, str], list[float]] = {}
        self._notes: dict[tuple[str, str, str, str, str, str], str] = {}
        self.failures: list[str] = []

    def add(self, part: str, case: str, gateway: Gateway, *quantities: tuple[str, str, float], note: str = "") -> None:
        """Keep one round's values, each as quantity, unit, value."""
        for quantity, unit, value in quantities:
            place = (part, case, gateway.name, gateway.store.name, quantity, unit)
            self._values.setdefault(place, []).append(value)
            self._notes[place] = note

    @contextlib.contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Go on with the next thing when this one cannot be measured."""
        try:
            yield
        except (BenchError, OSError, EOFError, ftplib.Error) as error:
            self.failures.append(f"{what}: {str(error) or type(error).__name__}")
            say(f"FAILED {self.failures[-1]}")

    def figures(self) -> list[Figure]:
        """All of it."""
        return [
            Figure(
                part=part,
                case=case,
                subject=subject,
                store=store,
                quantity=quantity,
                unit=unit,
                values=tuple(values),
                note=self._notes[part, case, subject, store, quantity, unit],
            )
            for (part, case, subject, store, quantity, unit), values in self._values.items()
        ]
