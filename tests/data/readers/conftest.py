"""Small pictures in folders."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def draw(tmp_path):
    """Writes a picture of this size, and its folders."""
    Image = pytest.importorskip("PIL.Image")

    def made(name: str, width: int = 8, height: int = 6, pixels: np.ndarray | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.zeros((height, width), dtype=np.uint8) if pixels is None else pixels
        Image.fromarray(grey).save(path)
        return path

    return made
