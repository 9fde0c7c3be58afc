"""What is published: the wheel, its metadata, the version, and what goes into the image."""

from __future__ import annotations

import configparser
import email
import re
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import aioftps3

ROOT = Path(__file__).parents[2]
BUILT_FROM = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
FEW_WELL_KEPT = {"aioftp", "aiohttp", "cryptography", "pydantic", "yarl", "zlib-ng"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built in a copy of the sources, so that no build directory appears among them."""
    sources = tmp_path_factory.mktemp("sources")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, sources)
    shutil.copytree(ROOT / "aioftps3", sources / "aioftps3", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(sources)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = target.iterdir()
    return path


def _read(wheel: Path, suffix: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(suffix))
        return archive.read(name).decode()


def _metadata(wheel: Path) -> Message:
    return email.message_from_string(_read(wheel, ".dist-info/METADATA"))


def test_wheel_holds_every_module_and_the_typing_marker(wheel: Path) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "aioftps3").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == sources | {"aioftps3/py.typed"}


def test_wheel_has_the_console_script(wheel: Path) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(_read(wheel, ".dist-info/entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == {"aioftps3": "aioftps3.cli:main"}


def test_wheel_asks_for_few_packages_and_no_aws_client(wheel: Path) -> None:
    required = [str(line) for line in _metadata(wheel).get_all("Requires-Dist", []) if "extra ==" not in str(line)]
    assert {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required} == FEW_WELL_KEPT


def test_wheel_needs_python_3_11_and_carries_the_licence(wheel: Path) -> None:
    metadata = _metadata(wheel)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert "MIT License" in _read(wheel, "/LICENSE")


def test_version_is_in_one_place_and_reaches_the_wheel(wheel: Path) -> None:
    assert _metadata(wheel)["Version"] == aioftps3.__version__
    quoted = f'"{aioftps3.__version__}"'
    named_in = [path for path in (ROOT / "aioftps3").rglob("*.py") if quoted in path.read_text(encoding="utf-8")]
    assert named_in == [ROOT / "aioftps3" / "__init__.py"]
    assert quoted not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_version_is_the_changelog_s_top_one() -> None:
    headings = re.findall(r"^## \[?(\d[^\]\s]*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == aioftps3.__version__


def test_image_runs_unprivileged_under_an_init_with_the_ports_of_the_readme() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    instructions = [line for line in lines if re.match(r"[A-Z]+ ", line)]
    final_stage = instructions[max(i for i, line in enumerate(instructions) if line.startswith("FROM ")) :]
    assert "USER 8021:8021" in final_stage
    assert "EXPOSE 8021-8042" in final_stage
    assert 'ENTRYPOINT ["tini", "--"]' in final_stage
    assert 'CMD ["aioftps3", "serve"]' in final_stage


def test_image_is_built_from_named_files_only() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in rules if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {line[1:] for line in rules if line.startswith("!")} == {"aioftps3", *BUILT_FROM}
