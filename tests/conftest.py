"""What folders share. Where the command line's extra is not installed, only the library's own tests are collected."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

torch.set_num_threads(1)  # the networks are too small to share among cores, least of all busy ones

HAS_EXTRA = all(find_spec(name) for name in ("tyro", "rich", "matplotlib", "sklearn", "torchvision"))
NEED_EXTRA = ["cli", "data", "engine", "evaluate", "generic", "recipes", "report", "results", "track"]
collect_ignore = [] if HAS_EXTRA else NEED_EXTRA


@pytest.fixture(scope="session")
def under_torchrun():
    """Run a script on two gloo ranks: ``under_torchrun(path, seconds)`` is what they printed; none outlives it."""

    def run(worker, seconds):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(worker)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
            try:
                out, errors = process.communicate(timeout=seconds)
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)  # torchrun ends its ranks, which are sessions of their own
                raise
        assert process.returncode == 0, out + errors
        return out

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Make a recipe of any kind small: ``tiny(kind, out, seed=0, epochs=2, **sections)``; training takes under 1 s."""
    import dataclasses

    from lethe.attacks import PGD
    from lethe.data import DataConfig
    from lethe.engine import RunConfig, ScheduleConfig
    from lethe.evaluate import EvaluationConfig
    from lethe.methods import FOMOConfig
    from lethe.models import ModelConfig
    from lethe.objectives import DistillationConfig
    from lethe.optim import RWPConfig, SGDConfig
    from lethe.recipes import ATRecipe, SGDRecipe, StreamConfig

    teachers = {}

    def teacher(kind):
        """The run directory of a tiny run, made once."""
        if kind not in teachers:
            folder = tmp_path_factory.mktemp("teacher") / kind.name
            teachers[kind] = str(make(kind, folder, epochs=1).execute()[0].path)
        return teachers[kind]

    def make(kind, out=None, *, seed=0, epochs=2, **sections):
        fields = {field.name for field in dataclasses.fields(kind)}
        validation = 0 if "stream" in fields else 50
        small = {
            "run": RunConfig(out=None if out is None else str(out), seed=seed, device="cpu"),
            "data": DataConfig(train_size=100, validation_size=validation, test_size=60, augment="crop-flip"),
            "model": ModelConfig(width=4),
            "schedule": ScheduleConfig(epochs=epochs, batch_size=32),
            "sgd": SGDConfig(lr=0.05),
            "evaluation": EvaluationConfig(eval_steps=2),
            "attack": PGD(epsilon=0.1, step_size=0.05, steps=2),
            "fomo": FOMOConfig(start=0.25, period=1, fraction=0.2),
            "rwp": RWPConfig(rwp_steps=2),
            "stream": StreamConfig(megabatches=2),
        }
        if "stream" in fields:
            del small["attack"]  # which training would have to use
        if "distillation" in fields:
            taught = {"clean_teacher": teacher(SGDRecipe), "robust_teacher": teacher(ATRecipe)}
            small["distillation"] = DistillationConfig(**taught)
        return kind(**{name: section for name, section in small.items() if name in fields} | sections)

    return make
