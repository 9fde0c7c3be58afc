"""The arrows of docs/architecture.md hold, and the contracts that say so find what breaks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_imports_point_one_way() -> None:
    checked = _lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("s3/intruder.py", "aioftps3.storage"),
        ("s3/intruder.py", "aioftps3.logs"),
        ("s3/intruder.py", "aioftps3.values"),
        ("embedded/intruder.py", "aioftps3.s3"),
        ("auth/intruder.py", "aioftps3.storage"),
        ("storage/intruder.py", "aioftps3.s3"),
        ("storage/intruder.py", "aioftps3.ftp"),
        ("storage/intruder.py", "aioftp"),
        ("ftp/intruder.py", "aioftps3.s3"),
        ("ftp/intruder.py", "aioftps3.settings"),
        ("ftp/intruder.py", "aioftps3.app"),
        ("intruder.py", "aioftps3.ftp"),
        ("intruder.py", "aioftps3.settings"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, module: str, imported: str) -> None:
    shutil.copytree(ROOT / "aioftps3", tmp_path / "aioftps3", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "aioftps3" / module).write_text(f"import {imported}\n")
    checked = _lint_imports(tmp_path)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "intruder" in checked.stdout
