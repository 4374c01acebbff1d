"""The facts of each rule: what the generic tests run through, and what the documentation's table is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lethe.optim._amp import AMP
from lethe.optim._awp import AWP, RWP
from lethe.optim._rmp import RMP
from lethe.optim._sam import SAM
from lethe.optim._two_pass import TwoPassOptimizer


@dataclass(frozen=True)
class Rule:
    """One way to perturb.

    Attributes:
        build: from parameters and the base optimizer's options (``lr`` among them) to the optimizer.
        passes: forward and backward passes of a step.
        memory: copies of the weights that it keeps beside them, the base optimizer's state apart.
        ball: what bounds the perturbation.
        source: the paper.
        needs: what it cannot do without, beside a closure; empty: nothing.
    """

    build: Callable[..., TwoPassOptimizer]
    passes: int
    memory: int
    ball: str
    source: str
    needs: str = ""

    @property
    def cost(self) -> str:
        """Of a step, in forward passes."""
        return f"{3 * self.passes}F"


def _amp(ball: str) -> Callable[..., TwoPassOptimizer]:
    return lambda params, **options: AMP(params, epsilon=0.1, ball=ball, **options)


MATRICES = "a tensor of more than one dimension"

RULES: dict[str, Rule] = {
    "AMP": Rule(_amp("tensor"), 2, 2, "l2, each tensor: epsilon", "Zheng et al., CVPR 2021, the official code"),
    "AMP, global": Rule(_amp("global"), 2, 2, "l2, all tensors: epsilon", "Zheng et al., CVPR 2021, the paper"),
    "AMP, linf": Rule(
        lambda params, **options: AMP(params, epsilon=0.01, ball="linf", **options),
        2,
        2,
        "l∞: epsilon",
        "an option of AMP's older code",
    ),
    "SAM": Rule(SAM, 2, 1, "l2, all tensors: rho", "Foret et al., ICLR 2021"),
    "ASAM": Rule(
        lambda params, **options: SAM(params, rho=0.5, adaptive=True, **options),
        2,
        1,
        "l2 relative to each weight, all tensors: rho",
        "Kwon et al., ICML 2021",
    ),
    "AWP": Rule(AWP, 2, 1, "l2, each matrix: gamma times its norm", "Wu et al., NeurIPS 2020", MATRICES),
    "RWP": Rule(
        RWP,
        11,
        2,
        "l2, all matrices: gamma times their norm",
        "Yu et al., IJCAI 2022",
        f"{MATRICES}; for the published loss an ascent closure",
    ),
    "RMP": Rule(
        RMP,
        1,
        2,
        "uniform, each tensor: √(epsilon / n)",
        "the baseline of Zheng et al., CVPR 2021",
        "weights that are not sharded",
    ),
}
"""Every rule, with settings at which a step moves a small network noticeably."""
