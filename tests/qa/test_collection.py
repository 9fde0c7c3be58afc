"""Every file of the tests is run, or used by one that is: nothing that was written to find errors lies idle."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}
NODE = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def collected(request: pytest.FixtureRequest) -> set[str]:
    """What a run without any selection would run, parameters aside: `tests/unit/test_cli.py::test_name`."""
    config = request.config
    chosen = config.getoption("keyword") or config.getoption("markexpr") or config.getoption("ignore")
    if [Path(argument).resolve() for argument in config.args] == [ROOT / "tests"] and not chosen:
        return {item.nodeid.partition("[")[0] for item in request.session.items}
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert listing.returncode == 0, listing.stdout + listing.stderr
    return {line.partition("[")[0] for line in listing.stdout.splitlines() if line.startswith("tests/")}


def written(path: Path) -> Iterator[str]:
    """The tests that a file defines: functions, and methods of classes, whether or not pytest would look at them."""
    for node in SOURCES[path].body:
        if isinstance(node, NODE) and node.name.startswith("test"):
            yield f"{path.as_posix()}::{node.name}"
        elif isinstance(node, ast.ClassDef):
            names = (part.name for part in node.body if isinstance(part, NODE) and part.name.startswith("test"))
            yield from (f"{path.as_posix()}::{node.name}::{name}" for name in names)


def used(path: Path) -> Iterator[Path]:
    """The files of the tests that a file imports, or names: some are programs, and run by their path."""
    for node in ast.walk(SOURCES[path]):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                yield Path(*name.split(".")).with_suffix(".py")
        elif isinstance(node, ast.Import):
            yield from (Path(*alias.name.split(".")).with_suffix(".py") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            yield from (other for other in SOURCES if other.name == Path(node.value).name)


def test_every_test_that_is_written_is_collected(collected: set[str]) -> None:
    assert {name for path in SOURCES for name in written(path)} - collected == set()


def test_every_file_named_as_a_test_has_tests(collected: set[str]) -> None:
    files = {path.as_posix() for path in SOURCES if path.name.startswith("test_")}
    assert files - {name.partition("::")[0] for name in collected} == set()


def test_every_other_file_is_used_by_one_that_is_collected() -> None:
    reached = {path for path in SOURCES if path.name.startswith("test_") or path.name == "conftest.py"}
    found = reached
    while found:
        found = {other for path in found for other in used(path) if other in SOURCES} - reached
        reached = reached | found
    assert set(SOURCES) - reached - {path for path in SOURCES if path.name == "__init__.py"} == set()


def test_a_longer_limit_comes_with_its_reason() -> None:
    """`patient` wants one; a bare `timeout` does not, and is for the plugin alone."""
    marks = {path for path, tree in SOURCES.items() for node in ast.walk(tree) if _is_timeout_mark(node)}
    assert marks == {Path("tests/support/rules.py")}


def _is_timeout_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "timeout" and ast.unparse(node) == "pytest.mark.timeout"
