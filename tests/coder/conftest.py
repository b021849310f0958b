"""A world and its Coder for the tests of what asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.config.settings import Coder
from tests.coder.scene import Scene
from tests.coder.server import CoderServer


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world, limit=-1) as server:
        yield server


@pytest.fixture
def settings(scene: Scene, coder: CoderServer, tmp_path: Path) -> Coder:
    """What the owner's token opens."""
    path = tmp_path / "token"
    path.write_text(scene.world.token_of(scene.alice))
    return Coder(url=coder.url, token_file=path, timeout_seconds=5.0)
