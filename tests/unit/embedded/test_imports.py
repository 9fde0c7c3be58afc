from __future__ import annotations

import ast
from pathlib import Path

import pytest

import aioftps3.embedded

MODULES = sorted(Path(aioftps3.embedded.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_else_of_the_project_is_imported(path: Path) -> None:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.append(node.module or "")
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    assert [name for name in names if name.startswith("aioftps3") and not name.startswith("aioftps3.embedded")] == []


def test_public_names_are_a_tuple_and_there() -> None:
    assert isinstance(aioftps3.embedded.__all__, tuple)
    assert all(hasattr(aioftps3.embedded, name) for name in aioftps3.embedded.__all__)
    assert list(aioftps3.embedded.__all__) == sorted(aioftps3.embedded.__all__)
