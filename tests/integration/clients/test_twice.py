"""rclone and lftp make trees the same, twice in a row, in both ways of showing times: the second time moves nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.clients.cells import cells_by_name
from tests.integration.clients.client import Client
from tests.integration.clients.conftest import Stage
from tests.integration.clients.drivers.lftp import Lftp
from tests.integration.clients.drivers.rclone import Rclone
from tests.integration.clients.scene import Contents, Scene
from tests.support.backends import EmbeddedBackend

OLD = 1_600_000_000

TREE = {"one": b"1", "two words": b"22", "below/three": b"333", "below/deeper/four": b"4444", "large": bytes(9_000_000)}


@pytest.fixture(params=[Lftp, Rclone], ids=lambda driver: driver.name)
def twice(
    request: pytest.FixtureRequest, stage: Stage, content: Contents, tmp_path: Path
) -> Callable[[str], tuple[Scene, Path]]:
    """Makes a scene, in front of a daemon that shows `uploaded` or `modified` times, and its local tree."""
    driver: type[Client] = request.param
    if (why := driver.missing()) is not None:
        pytest.skip(why)

    def make(times: str) -> tuple[Scene, Path]:
        daemon = stage.daemon("embedded", "control+data", times)
        folder = f"test-{secrets.token_hex(4)}"
        stage.backend("embedded").put(f"{folder}/")
        home, tree = tmp_path / "home", tmp_path / "tree"
        home.mkdir()
        tree.mkdir()
        client = driver(daemon.access("explicit"), home)
        client.by_times = times == "modified"
        cell = cells_by_name()["mirror up again"]
        return Scene(client, cell, daemon, stage.backend("embedded"), folder, tmp_path, content), tree

    return make


def _moved(scene: Scene, operation: str, *arguments: object) -> int:
    """How many files an operation moves."""
    before = len(scene.meter.end().commands)
    getattr(scene.client, operation)(*arguments)
    return sum(verb in ("STOR", "APPE", "RETR") for verb, _ in scene.meter.end().commands[before:])


@pytest.mark.parametrize("times", ["uploaded", "modified"])
def test_a_tree_that_was_sent_is_not_sent_again(twice: Callable[[str], tuple[Scene, Path]], times: str) -> None:
    scene, tree = twice(times)
    for at, (name, data) in enumerate(TREE.items()):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
        os.utime(tree / name, (OLD + at, OLD + at))
    assert _moved(scene, "mirror_up", tree, scene.folder) == len(TREE)
    assert {name: data for name, data in scene.stored().items() if not name.endswith("/")} == TREE
    assert _moved(scene, "mirror_up", tree, scene.folder) == 0
    if times == "modified":
        assert _moved(scene, "mirror_down", scene.folder, tree) == 0
        assert [int((tree / name).stat().st_mtime) - OLD for name in TREE] == list(range(len(TREE)))


@pytest.mark.parametrize("times", ["uploaded", "modified"])
def test_a_tree_that_was_fetched_is_not_fetched_again(twice: Callable[[str], tuple[Scene, Path]], times: str) -> None:
    """In `modified`, with the times that another S3 program has kept with the objects."""
    scene, tree = twice(times)
    embedded = scene.embedded
    assert isinstance(embedded, EmbeddedBackend)
    for name, data in TREE.items():
        embedded.put_old(f"{scene.folder}/{name}", data, OLD + 500, {"x-amz-meta-mtime": f"{OLD}.987654321"})
    assert _moved(scene, "mirror_down", scene.folder, tree) == len(TREE)
    assert {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()} == TREE
    shown = {int((tree / name).stat().st_mtime) for name in TREE}
    assert shown == {OLD if times == "modified" else OLD + 500}
    assert _moved(scene, "mirror_down", scene.folder, tree) == 0
    assert _moved(scene, "mirror_up", tree, scene.folder) == 0
