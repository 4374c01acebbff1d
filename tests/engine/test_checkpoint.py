"""Checkpoints: whole or not there, and no code in them is run."""

import os
import pickle

import pytest
import torch
from torch import nn

import lethe
from lethe.engine import load_checkpoint, save_checkpoint


class MakesFolder:
    """Unpickled, it makes a folder: what a hostile file could do, made visible."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_what_was_saved_is_loaded(tmp_path):
    state = {"epoch": 3, "model": nn.Linear(2, 2).state_dict(), "name": "x", "nothing": None, "lr": [0.1]}
    path = tmp_path / "checkpoints" / "last.pt"
    save_checkpoint(path, state)
    loaded = load_checkpoint(path)
    assert loaded.keys() == state.keys()
    assert torch.equal(loaded["model"]["weight"], state["model"]["weight"])
    assert (loaded["epoch"], loaded["name"], loaded["nothing"], loaded["lr"]) == (3, "x", None, [0.1])
    assert torch.load(path, weights_only=True)["epoch"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_a_write_that_fails_midway_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"epoch": 1})
    before = path.read_bytes()
    unpicklable = {"weights": torch.zeros(100_000), "function": lambda: None}
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_checkpoint(path, unpicklable)
    assert path.read_bytes() == before
    assert load_checkpoint(path) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    path.with_name("last.pt.tmp").write_bytes(b"what a kill left behind is in nobody's way")
    save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path) == {"epoch": 2}
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_a_clear_error(tmp_path, share):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"weights": torch.rand(1000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        load_checkpoint(path)


def test_a_single_bit_that_is_not_what_was_written_is_a_clear_error(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"weights": torch.ones(1000)})
    content = bytearray(path.read_bytes())
    content[content.index(torch.ones(1000).numpy().tobytes()) + 2000] ^= 1  # in the numbers themselves
    path.write_bytes(content)
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], torch.ones(1000))  # torch does not notice
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        load_checkpoint(path)


def test_what_is_no_dictionary_is_a_clear_error(tmp_path):
    torch.save(torch.ones(3), tmp_path / "last.pt")
    with pytest.raises(lethe.LetheError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize("content", [b"no checkpoint at all", b"\x80\x02garbage", bytes(1000)])
def test_another_file_is_a_clear_error(tmp_path, content):
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        load_checkpoint(path)


def test_a_missing_checkpoint_is_a_clear_error(tmp_path):
    with pytest.raises(lethe.LetheError, match="no checkpoint"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_hostile_checkpoint_is_not_run(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "last.pt"
    torch.save({"model": MakesFolder(marker)}, path)
    torch.load(path, weights_only=False)
    assert marker.is_dir()  # the file is as hostile as it is meant to be
    marker.rmdir()
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(MakesFolder(marker), protocol=2))  # a bare pickle, as old checkpoints are
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        load_checkpoint(path)
    assert not marker.exists()
