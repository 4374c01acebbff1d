"""What is kept of the machine: enough to repeat, nothing that tells whose it is."""

import getpass
import json
import re
import socket
from importlib import metadata
from pathlib import Path

import torch

from lethe.engine._run_directory import environment


def test_versions_and_machine_are_kept(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/lethe", "train", "sgd", "--out", "a b"])
    kept = environment(torch.device("cpu"))
    assert kept["command"] == "lethe train sgd --out 'a b'"
    assert kept["versions"]["torch"] == torch.__version__  # with its build, which the metadata lacks
    for package in ("numpy", "torchvision", "scikit-learn", "lethe-torch"):
        assert kept["versions"][package] == metadata.version(package)
    assert kept["device"] == "cpu"
    assert kept["threads"] == torch.get_num_threads()
    assert kept["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(\+changes)?", kept["commit"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", kept["started"])


def test_no_path_host_or_user_name_is_kept(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/lethe", "train", "sgd"])
    text = json.dumps(environment(torch.device("cpu")))
    for path in (Path.home(), Path.cwd(), Path(__file__).parents[2], "/somewhere"):
        assert str(path) not in text
    for name in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(name)}\b", text)
