"""`python -m bench`: measures, prints tables and how the targets fared, and writes all of it to local/bench as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import aioftps3
from bench import sessions, transfers
from bench.processes import ROOT, BenchError
from bench.programs import Programs, first_line, say
from bench.record import FULL, MIB, QUICK, Record, Scale
from bench.report import Verdict, as_json, judge, tables, verdict_table
from bench.servers import Lab
from bench.targets import targets

PARTS: dict[str, Callable[[Lab, Scale, Record], None]] = {
    "large": transfers.large,
    "small": transfers.small,
    "list": sessions.listings,
    "concurrent": transfers.at_once,
    "idle": sessions.idle,
    "requests": sessions.requests,
    "lag": transfers.lag,
}

DIRECTORY = ROOT / "local" / "bench"

BUSY_LOAD = 0.5
"""Load average for each CPU above which others are said to be at work."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when all was measured, whatever came out; 1 when something could not be measured."""
    options = _parser().parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.rounds:
        scale = dataclasses.replace(scale, rounds=options.rounds)
    logs = DIRECTORY / "log"
    logs.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _end)
    # A shell that starts it in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = datetime.now(UTC)
    stamp = began.strftime("%Y%m%dT%H%M%SZ")
    path = DIRECTORY / f"{stamp}.json"
    programs = Programs.find(options.rclone, options.minio, DIRECTORY)
    machine = _machine(programs)
    if os.getloadavg()[0] > BUSY_LOAD * len(os.sched_getaffinity(0)):
        say(f"others are at work on this machine (load {os.getloadavg()[0]:.2f}): timings will be of little use")
    kept = {"began": began.isoformat(), "machine": machine, "scale": dataclasses.asdict(scale), "set": options.set}
    wanted = [target for target in targets(scale) if target.part in options.only]
    record = Record()
    for part in options.only:
        place = DIRECTORY / f"run-{stamp}-{os.getpid()}-{part}"
        with record.attempt(part), Lab(place, logs, programs, options.set) as lab:
            PARTS[part](lab, scale, record)
        # After each part: what is measured is kept when a later one is interrupted.
        found = {"failures": record.failures, **as_json(record.figures(), judge(wanted, record.figures()))}
        path.write_text(json.dumps({**kept, **found}, indent=2) + "\n")
    _print(machine, scale, record, judge(wanted, record.figures()))
    say(f"\nwritten to {path.relative_to(ROOT)}")
    return 1 if record.failures else 0


def _print(machine: dict[str, object], scale: Scale, record: Record, verdicts: Sequence[Verdict]) -> None:
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{scale.rounds} rounds: median (lowest-highest)\n")
    print(tables(record.figures()))
    if verdicts:
        print(f"\n{verdict_table(verdicts)}")
    if scale.quick:
        print("\n--quick: much too small to judge by")
    for failure in record.failures:
        print(f"NOT MEASURED: {failure}")


def _end(number: int, _: FrameType | None) -> None:
    """Leave as an exception, so that all that runs is stopped on the way."""
    sys.exit(128 + number)


def _machine(programs: Programs) -> dict[str, object]:
    """What the figures depend on; nothing that tells whose machine it is."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "aioftps3": aioftps3.__version__,
        "commit": first_line(["git", "describe", "--always", "--dirty"]),
        "Python": platform.python_version(),
        "OpenSSL": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        "cpu": model[1] if model else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory MiB": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB,
        "load": round(os.getloadavg()[0], 2),
        **programs.versions(),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_parts, default=list(PARTS), metavar="PART,...", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=_positive, help=f"how often each is measured ({FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only shows that it works")
    parser.add_argument("--minio", type=Path, metavar="PROGRAM", help="instead of the one on PATH or in local/bin")
    parser.add_argument("--rclone", type=Path, metavar="PROGRAM", help="instead of the one on PATH or from PyPI")
    parser.add_argument(
        "--set",
        action=_Setting,
        default={},
        metavar="NAME=VALUE",
        help="a setting of the daemon's, such as AIOFTPS3_PART_SIZE=16MiB; as often as wanted",
    )
    return parser


class _Setting(argparse.Action):
    """Collects NAME=VALUE."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        name, equals, value = str(values).partition("=")
        if not equals:
            parser.error(f"{option_string} wants NAME=VALUE")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), name: value})


def _parts(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError("wants a number from 1 on")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BenchError as error:
        sys.exit(f"bench: {error}")
