"""What the daemon has to reach, as ratios or limits within one run."""

from __future__ import annotations

import dataclasses

from bench.record import Scale
from bench.report import Target
from bench.servers import AIOFTPS3, MINIO, RCLONE, RELAY, SINK
from bench.sessions import IDLE, LIST
from bench.transfers import AT_ONCE, LARGE, SMALL

__all__ = ("targets",)

BUDGET_MIB = 256


def targets(scale: Scale) -> list[Target]:
    """All of them, for cases as they are named at this scale."""
    return [*_large(), *_small(scale), *_listings(scale), *_at_once(scale), *_idle(scale)]


def _own(text: str, part: str, case: str, quantity: str, limit: float, store: str = SINK) -> Target:
    return Target(text=text, part=part, case=case, quantity=quantity, subject=AIOFTPS3, store=store, limit=limit)


def _beside_rclone(text: str, part: str, case: str, quantity: str, limit: float) -> Target:
    return Target(
        text=text, part=part, case=case, quantity=quantity, subject=AIOFTPS3, store=MINIO, limit=limit, beside=RCLONE
    )


def _large() -> list[Target]:
    return [
        _beside_rclone("CPU, 1 GiB up, MinIO", LARGE, "upload", "CPU", 0.45),
        _beside_rclone("CPU, 1 GiB down, MinIO", LARGE, "download", "CPU", 0.5),
        _beside_rclone("wall, 1 GiB up, MinIO", LARGE, "upload", "wall", 0.75),
        _beside_rclone("wall, 1 GiB down, MinIO", LARGE, "download", "wall", 0.75),
    ]


def _small(scale: Scale) -> list[Target]:
    far, near = scale.delay_text(scale.delay_ms), scale.delay_text(0)
    found = []
    for store in (SINK, RELAY):
        for direction, limit in (("upload", 34.0), ("download", 32.0)):
            case = f"{direction}, {far}"
            found.append(_own(f"10 KiB {direction}, ms, S3 at 25 ms, {store}", SMALL, case, "wall", limit, store))
            found.append(_own(f"10 KiB {direction}, S3 requests, {store}", SMALL, case, "S3 requests", 1, store))
    found += [
        _own(f"10 KiB {direction}, ms, S3 at 0 ms, sink", SMALL, f"{direction}, {near}", "wall", 4.5)
        for direction in ("upload", "download")
    ]
    return found


def _listings(scale: Scale) -> list[Target]:
    _, middle, most = (f"{count} entries" for count in scale.list_counts)
    return [
        _own("LIST 20,000, s, S3 at 25 ms", LIST, middle, "total", 1.0),
        _own("LIST 20,000, S3 requests", LIST, middle, "S3 requests", 21),
        _own("LIST 100,000, RSS growth, MiB", LIST, most, "RSS growth", 5),
    ]


def _at_once(scale: Scale) -> list[Target]:
    few, *_ = scale.at_once
    found = [
        _own(f"50 uploads, peak RSS, MiB, {store}", AT_ONCE, f"{few} uploads", "peak RSS", BUDGET_MIB + 100, store)
        for store in (MINIO, SINK)
    ]
    found += [
        _own(f"{count} uploads, failed, {store}", AT_ONCE, f"{count} uploads", "failed", 0, store)
        for count, store in [(few, MINIO), *((count, SINK) for count in scale.at_once)]
    ]
    return [*found, _beside_rclone("50 uploads, wall, MinIO", AT_ONCE, f"{few} uploads", "wall", 1.0)]


def _idle(scale: Scale) -> list[Target]:
    *_, most = scale.idle
    found = [_own(f"idle TLS session, KiB, {count}", IDLE, f"{count} sessions", "RSS", 64) for count in scale.idle]
    held = _own("idle TLS sessions held", IDLE, f"{most} sessions", "held", most)
    return [*found, dataclasses.replace(held, at_least=True)]
