"""What holds for every run of the tests; a pytest plugin, registered by tests/conftest.py.

- A test is skipped for one of the reasons in `SKIP_REASONS` or fails, so that nothing falls silent by mistake.
- A test has 20 seconds, more where the machine is busy, unless it is marked `patient(seconds, reason)`. One that was
  slower fails; pytest's own timeout is longer, and ends what hangs.
- Large files come last: while GiB are moved, tests that keep an eye on the clock are done.
- Property tests try the same examples each time, as randomised trials have the same seeds; the nightly run explores
  (`--hypothesis-profile=exploring`). How long an example takes is no failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, Phase, settings

__all__ = ("SKIP_REASONS", "contention", "may_be_skipped")

SKIP_REASONS: tuple[str, ...] = (
    # The machine lacks something that tests.sh could not install; it says so first and last.
    r".* is not installed",
    r"local/clients/\S+ (is not there|has no .*)",
    r"NO MINIO: .*",
    r"\d+ GiB of free disk are needed, there are \d+",
    r"no IPv6 here",
    r"peak memory is read from /proc",
    r"curl before 8\.0 starts no TLS on connections that it has accepted",
    # Not asked for: a normal run drives a core set of the FTP clients, the nightly one all.
    r".* is left out by --clients",
    r"--clients=.*",
    r"none of --clients=\S+ can",
    r"of the clients that can none is installed: .*",
)
"""Patterns of the whole reason."""

LIMIT_SECONDS = float(os.environ.get("AIOFTPS3_TEST_LIMIT") or 20)
"""For a test, and for its setup and its teardown. Slow machines set a longer one, and it grows with the load: where
three processes want one processor, everything takes three times as long."""

PATIENT = "patient"


def may_be_skipped(reason: str) -> bool:
    """Whether a test may be skipped for this reason."""
    return any(re.fullmatch(pattern, reason) for pattern in SKIP_REASONS)


def contention() -> float:
    """How many processes of the last minute wanted each processor; 1 at least."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _limits(seconds: float, reason: str) -> float:
    """The arguments of `patient`."""
    assert reason
    return seconds


def pytest_configure(config: pytest.Config) -> None:
    """Set what hypothesis does, unless the command line does."""
    # To explain a failure hypothesis follows each line of each example, from Python 3.12 on: many times slower.
    phases = [phase for phase in Phase if phase is not Phase.explain]
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=phases)
    settings.register_profile("exploring", patient)
    settings.register_profile("fixed", patient, derandomize=True, database=None)
    settings.load_profile(config.getoption("--hypothesis-profile", None) or "fixed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give patient tests their time, and put large files last."""
    for item in items:
        if (marker := item.get_closest_marker(PATIENT)) is not None:
            item.add_marker(pytest.mark.timeout(_limits(*marker.args)))
    items.sort(key=lambda item: item.get_closest_marker("large") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge skips and slowness, and make reports fit to travel between processes as UTF-8."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _judge_skip(report)
    if report.passed and report.duration > LIMIT_SECONDS and item.get_closest_marker(PATIENT) is None:
        _judge_slowness(report, LIMIT_SECONDS * contention())
    # Captured logs hold what clients sent, also bytes that are no UTF-8.
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge skips of whole modules."""
    report = yield
    if report.skipped:
        _judge_skip(report)
    return report


def _judge_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not may_be_skipped(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped for a reason that {__name__} does not list: {reason}"


def _judge_slowness(report: pytest.TestReport, limit: float) -> None:
    if report.duration > limit:
        report.outcome = "failed"
        report.longrepr = f"took {report.duration:.0f} s, more than {limit:.0f} s: shorten it, or mark it {PATIENT}"
