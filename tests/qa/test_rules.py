"""The rules that tests/support/rules.py holds every run to, on runs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rules import may_be_skipped

ROOT = Path(__file__).parents[2]

TESTS = """
import time

import pytest

@pytest.mark.large
def test_large():
    print("large")

def test_slow():
    time.sleep(0.2)

@pytest.mark.patient(5, "it sleeps")
def test_patient():
    time.sleep(0.2)

@pytest.mark.patient(0.1, "it sleeps")
def test_that_hangs():
    time.sleep(5)

@pytest.mark.skip(reason="curl is not installed")
def test_for_curl():
    pass

@pytest.mark.skip(reason="not today")
def test_of_another_day():
    pass

@pytest.mark.parametrize("value", [])
def test_of_nothing(value):
    pass

@pytest.mark.xfail(strict=True, reason="known")
def test_that_fails():
    raise AssertionError
"""

OUTCOMES = {"PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL"}

LEFT_OUT = """
import pytest

pytest.importorskip("a_module_that_nobody_has")
"""


def outcomes(directory: Path, load: float) -> dict[str, str]:
    """What comes of the tests in a directory when they have 0.1 s, by the summary's lines."""
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n    large\n    patient\n")
    (directory / "conftest.py").write_text(f"import os\nos.getloadavg = lambda: ({load}, 0, 0)\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "tests.support.rules", "."],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "AIOFTPS3_TEST_LIMIT": "0.1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED), ran.stdout + ran.stderr
    _, _, summary = ran.stdout.partition("short test summary info")
    found = {}
    for line in summary.splitlines():
        outcome, _, rest = line.partition(" ")
        if outcome not in OUTCOMES:
            continue
        found[rest.partition("::")[2].partition(" - ")[0] or rest] = outcome
    return found


def test_a_test_is_neither_slow_nor_skipped_without_a_reason(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS)
    found = outcomes(tmp_path, load=0)
    assert found == {
        "test_large": "PASSED",
        "test_slow": "FAILED",
        "test_patient": "PASSED",
        "test_that_hangs": "FAILED",
        "[1] test_them.py:21: curl is not installed": "SKIPPED",
        "test_of_another_day": "ERROR",
        "test_of_nothing[NOTSET]": "ERROR",
        "test_that_fails": "XFAIL",
    }


def test_a_slow_test_proves_nothing_on_a_machine_that_is_busy(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS)
    assert outcomes(tmp_path, load=1000)["test_slow"] == "PASSED"


def test_a_module_is_not_skipped_without_a_listed_reason_either(tmp_path: Path) -> None:
    (tmp_path / "test_left_out.py").write_text(LEFT_OUT)
    assert set(outcomes(tmp_path, load=0).values()) == {"ERROR"}


def test_large_files_come_last(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS)
    passed = [name for name, outcome in outcomes(tmp_path, load=0).items() if outcome == "PASSED"]
    assert passed == ["test_patient", "test_large"], "in the order in which they ran"


@pytest.mark.parametrize("reason", ["curl is not installed", "NO MINIO: it is not set", "--clients=core"])
def test_what_a_machine_lacks_is_a_reason(reason: str) -> None:
    assert may_be_skipped(reason)


@pytest.mark.parametrize("reason", ["", "flaky", "does not work yet", "no IPv6 here, and no time"])
def test_anything_else_is_none(reason: str) -> None:
    assert not may_be_skipped(reason)
