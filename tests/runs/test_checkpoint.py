import errno
import os

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from polytask.errors import RunError
from polytask.runs import read_checkpoint, write_checkpoint
from polytask.runs.checkpoint import pack, unpack

LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=80, deadline=None)
def test_nested_state_comes_back_as_it_was(tree):
    import json

    packed, tensors = pack({"state": tree})
    assert unpack(json.loads(json.dumps(packed)), tensors) == {"state": tree}


def test_an_optimizer_comes_back_bit_for_bit(tmp_path):
    weight = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    write_checkpoint(tmp_path / "checkpoint", {"optimizer": optimizer.state_dict()})
    read = read_checkpoint(tmp_path / "checkpoint")[0]["optimizer"]
    assert read["param_groups"] == optimizer.state_dict()["param_groups"]
    for key, value in optimizer.state_dict()["state"][0].items():
        assert torch.equal(read["state"][0][key], value)


def test_views_and_shared_storage_are_kept_apart(tmp_path):
    base = torch.arange(6.0)
    write_checkpoint(tmp_path / "c", {"a": base[:3], "b": base[3:], "c": base.view(2, 3).T})
    read, _ = read_checkpoint(tmp_path / "c")
    assert torch.equal(read["a"], base[:3])
    assert torch.equal(read["c"], base.view(2, 3).T)


def test_only_the_newest_is_kept(tmp_path):
    for step in range(3):
        write_checkpoint(tmp_path / "c", {"step": step})
    assert len(list((tmp_path / "c").iterdir())) == 1
    assert read_checkpoint(tmp_path / "c")[0] == {"step": 2}


def test_no_folder_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["state.json", "state.safetensors", "checksums.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_named(tmp_path, name, damage):
    write_checkpoint(tmp_path / "c", {"a": torch.ones(4), "b": 1})
    (folder,) = (tmp_path / "c").iterdir()
    content = bytearray((folder / name).read_bytes())
    if damage == "remove":
        (folder / name).unlink()
    elif damage == "truncate":
        (folder / name).write_bytes(content[:-3])
    else:
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
    with pytest.raises(RunError, match=r"is damaged .* remove the folder .* to train this Run from its beginning"):
        read_checkpoint(tmp_path / "c")


def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "c", {"step": 1})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="no space left on the disk"):
        write_checkpoint(tmp_path / "c", {"step": 2})
    assert read_checkpoint(tmp_path / "c")[0] == {"step": 1}
    assert len(list((tmp_path / "c").iterdir())) == 1


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(TypeError, match="got function"):
        write_checkpoint(tmp_path / "c", {"a": [lambda: 1]})


def test_weights_go_along_and_are_carried_over(tmp_path):
    from safetensors.torch import save

    first, second = ({"w": torch.full((2,), value)} for value in (1.0, 2.0))
    write_checkpoint(tmp_path / "c", {"step": 1}, {"mean": save(first), "a": save(first)})
    write_checkpoint(tmp_path / "c", {"step": 2}, {"a": save(second)}, ["mean"])
    state, weights = read_checkpoint(tmp_path / "c")
    assert state == {"step": 2}
    assert weights.keys() == {"mean", "a"}
    assert torch.equal(weights["mean"]["w"], first["w"])
    assert torch.equal(weights["a"]["w"], second["w"])


def test_carried_weights_are_checked(tmp_path):
    from safetensors.torch import save

    write_checkpoint(tmp_path / "c", {"step": 1}, {"mean": save({"w": torch.ones(3)})})
    write_checkpoint(tmp_path / "c", {"step": 2}, {}, ["mean"])
    (path,) = (tmp_path / "c").rglob("mean.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RunError, match=r"the checksum of best/mean.safetensors differs"):
        read_checkpoint(tmp_path / "c")
