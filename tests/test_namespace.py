"""The public surface, and that it needs torch and numpy alone."""

import inspect
import subprocess
import sys
from importlib import metadata

import torch

import lethe

BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name)

sys.meta_path.insert(0, Blocker())
{code}
"""
EXTRA = ["torchvision", "sklearn", "scipy", "tyro", "rich", "matplotlib", "PIL", "pandas"]


def run(code):
    script = BLOCK.format(blocked=EXTRA, code=code)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_the_library_needs_torch_and_numpy_alone():
    done = run("from lethe import AMP, FOMO, LURE; import lethe.models, lethe.objectives; print(AMP.__name__)")
    assert (done.returncode, done.stdout) == (0, "AMP\n"), done.stderr


def test_the_command_line_says_what_to_install():
    done = run("from lethe.cli import main; sys.exit(main(['train', 'at']))")
    assert done.returncode == 2
    assert done.stderr == (
        "lethe: error: rich is not installed; the command line needs its extra: pip install 'lethe-torch[train]'\n"
    )


def test_the_version_is_the_packages():
    assert lethe.__version__ == metadata.version("lethe-torch")


def test_names_that_others_call_keep_their_signatures():
    def signature(thing):
        return [
            (p.name, p.kind is p.KEYWORD_ONLY, None if p.default is p.empty else p.default)
            for p in inspect.signature(thing).parameters.values()
        ]

    amp = signature(lethe.AMP)
    assert [name for name, _, _ in amp] == [
        "params", "lr", "epsilon", "inner_lr", "inner_iter", "base_optimizer",
        "ball", "base_kwargs",
    ]  # fmt: skip
    assert amp[3:7] == [
        ("inner_lr", False, 1.0),
        ("inner_iter", False, 1),
        ("base_optimizer", False, torch.optim.SGD),
        ("ball", True, "tensor"),
    ]
    assert signature(lethe.forget.random_mask)[:4] == [
        ("model", False, None),
        ("fraction", False, None),
        ("select", True, None),
        ("generator", True, None),
    ]
    assert [name for name, _, _ in signature(lethe.forget.snip_mask)][:5] == [
        "model",
        "batches",
        "fraction",
        "select",
        "loss",
    ]
    assert signature(lethe.forget.reinitialize)[:4] == [
        ("model", False, None),
        ("masks", False, None),
        ("optimizer", True, None),
        ("generator", True, None),
    ]
    assert signature(lethe.attacks.PGD)[:6] == [
        ("epsilon", False, 8 / 255),
        ("step_size", False, 2 / 255),
        ("steps", False, 10),
        ("norm", False, "linf"),
        ("random_start", False, True),
        ("loss", False, "ce"),
    ]
    assert signature(lethe.anytime.MegabatchStream)[:5] == [
        ("dataset", False, None),
        ("megabatches", False, None),
        ("replay", True, "full"),
        ("validation", True, 0.1),
        ("seed", True, 0),
    ]
    assert [name for name, _, _ in signature(lethe.FOMO)][:9] == [
        "model", "optimizer", "start", "period", "fraction", "select", "decay", "consistency", "generator",
    ]  # fmt: skip


def test_every_public_name_is_documented():
    for module in (lethe, lethe.optim, lethe.forget, lethe.consolidate, lethe.attacks, lethe.methods, lethe.anytime):
        assert module.__doc__
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                assert inspect.getdoc(thing), name
