"""Videos in cells: folders of frames and arrays."""

import numpy as np
import pandas as pd
import pytest

from polytask.data import Table
from polytask.data.media import cells_of
from polytask.data.video import chosen_frames
from polytask.errors import SchemaError

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3)).astype(np.uint8)


def seen(cell, source=None):
    frame = pd.DataFrame({"x": pd.Series([cell], dtype=object)})
    return cells_of(Table(frame, kinds={"x": "video"}, source=source), "x", np.arange(1))[0]


def written(folder, frames=FRAMES):
    image_module = pytest.importorskip("PIL.Image")
    folder.mkdir()
    for k, frame in enumerate(frames):
        image_module.fromarray(frame).save(folder / f"frame_{k}.png")
    return folder


def test_a_folder_and_an_array_are_the_same_video(tmp_path):
    written(tmp_path / "walk")
    assert (seen("walk", tmp_path) == FRAMES).all()  # 2 before 10
    assert (seen(FRAMES) == FRAMES).all()
    assert (seen(FRAMES.tolist()) == FRAMES).all()
    assert (seen(FRAMES[..., 0])[..., 0] == FRAMES[..., 0]).all()
    assert seen(FRAMES / 255).dtype == np.float32


def test_frames_are_chosen_evenly():
    assert chosen_frames(np.arange(9), 3).tolist() == [0, 4, 8]
    assert chosen_frames(np.arange(2), 3).tolist() == [0, 1]


def test_what_is_no_video_is_named(tmp_path):
    folder = written(tmp_path / "walk", FRAMES[:2])
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.mp4").write_bytes(b"")
    for cell, words in {
        "empty": "has no pictures, but a video's frames are wanted",
        "a.mp4": "a video is a folder of pictures",
        "none": "there is no folder of frames",
    }.items():
        with pytest.raises(SchemaError, match=f"column 'x', row 0: .*{words}"):
            seen(cell, tmp_path)
    for cell, words in ((np.zeros((2, 3)), "is no video"), (np.zeros((2, 3, 4, 7)), r"shape \[2, 3, 4, 7\]")):
        with pytest.raises(SchemaError, match=words):
            seen(cell)
    with pytest.raises(SchemaError, match="holds NaN"):
        seen(np.full((2, 3, 4), np.nan))
    (folder / "frame_1.png").write_bytes(b"broken")
    with pytest.raises(SchemaError, match=r"row 0, '.*frame_1\.png': cannot be decoded as a picture.*unreadable: skip"):
        seen("walk", tmp_path)
    pytest.importorskip("PIL.Image").fromarray(FRAMES[0][:3]).save(folder / "frame_1.png")
    with pytest.raises(SchemaError, match=r"frame 'frame_1\.png' has shape \[3, 5, 3\], but 'frame_0\.png'"):
        seen("walk", tmp_path)
