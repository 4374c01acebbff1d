"""The loop, its checkpoints and its run directories. It knows no method by name."""

from lethe.engine._checkpoint import load_checkpoint, save_checkpoint
from lethe.engine._compute import Compute, ComputeConfig
from lethe.engine._config import RunConfig
from lethe.engine._flops import flops, step_flops
from lethe.engine._last import kept_options
from lethe.engine._loop import train_epoch
from lethe.engine._method import WeightMethod
from lethe.engine._observer import Observer
from lethe.engine._processes import Processes, processes
from lethe.engine._run import run_training
from lethe.engine._run_directory import RunDirectory
from lethe.engine._run_lock import alone
from lethe.engine._run_stream import run_stream
from lethe.engine._saving import Stopped
from lethe.engine._schedule import ScheduleConfig
from lethe.engine._seeds import generators
from lethe.engine._training import Training

__all__ = [
    "Compute",
    "ComputeConfig",
    "Observer",
    "Processes",
    "RunConfig",
    "RunDirectory",
    "ScheduleConfig",
    "Stopped",
    "Training",
    "WeightMethod",
    "alone",
    "flops",
    "generators",
    "kept_options",
    "load_checkpoint",
    "processes",
    "run_stream",
    "run_training",
    "save_checkpoint",
    "step_flops",
    "train_epoch",
]
