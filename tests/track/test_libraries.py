"""Each tracker with its own library: what was logged is read back."""

import pytest

from lethe.engine import Observer, RunDirectory
from lethe.recipes import FOMORecipe, SGDRecipe
from lethe.track import TrackConfig


class Says(Observer):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


class StopsAfterOne(Says):
    def record(self, record):
        raise KeyboardInterrupt


def stopped_and_resumed(recipe, out):
    """A run in two parts, none of whose trackers has failed; its records."""
    first, second = StopsAfterOne(), Says()
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=first)
    _, records = recipe.execute(observer=second, resume=RunDirectory.open(out))
    assert first.said == second.said == []
    return records


def test_tensorboard_has_every_number_at_its_epoch(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = tiny(FOMORecipe, tmp_path / "run", epochs=4, track=TrackConfig(track=("tensorboard",)))
    records = stopped_and_resumed(recipe, tmp_path / "run")
    read = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    read.Reload()
    for name in ("train/loss", "lr", "validation/robust", "stable/test/clean"):
        found = [(event.step, event.value) for event in read.Scalars(name)]
        assert found == [(r["epoch"], pytest.approx(r[name], rel=1e-6)) for r in records if name in r], name
    assert "epoch" not in read.Tags()["scalars"]
    (config,) = read.Tensors("config/text_summary")
    assert b'"fraction": 0.2' in config.tensor_proto.string_val[0]
    events = [(e.step, e.tensor_proto.string_val[0].decode()) for e in read.Tensors("event/text_summary")]
    assert events == [(r["epoch"], r["event"]) for r in records if "event" in r]
    assert events


def test_wandb_keeps_one_run_offline(tiny, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    stopped_and_resumed(tiny(SGDRecipe, tmp_path / "run", track=TrackConfig(track=("wandb",))), tmp_path / "run")
    folder = tmp_path / "run" / "wandb"
    run_id = (folder / "run_id").read_text().strip()
    parts = [path for path in folder.iterdir() if path.name.startswith("offline-run-")]
    assert parts
    for part in parts:
        assert (part / f"run-{run_id}.wandb").stat().st_size > 0
    content = b"".join((part / f"run-{run_id}.wandb").read_bytes() for part in parts)
    assert b"validation/clean" in content


def test_mlflow_keeps_one_run_in_the_run_directory(tiny, tmp_path, monkeypatch):
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name)
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    recipe = tiny(SGDRecipe, tmp_path / "run", track=TrackConfig(track=("mlflow",), track_project="mine"))
    records = stopped_and_resumed(recipe, tmp_path / "run")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'run' / 'mlruns' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["sgd.lr"] == "0.05"
    history = client.get_metric_history(run.info.run_id, "validation/clean")
    assert [(m.step, m.value) for m in history] == [(r["epoch"], r["validation/clean"]) for r in records]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]  # nothing lies elsewhere
