"""Which adversarial objective a run minimises."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lethe._check import LetheError, non_negative, one_of
from lethe.attacks import PGD
from lethe.objectives._adversarial import MART, PGDAT, TRADES

OBJECTIVES = ("pgd-at", "trades", "mart")
BETA = {"trades": 6.0, "mart": 5.0}


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What adversarial training minimises."""

    objective: str = "pgd-at"
    """pgd-at, trades or mart; the attack of trades raises the divergence, and both start beside the image."""
    beta: float | None = None
    """Weight of the divergence; none: the paper's, 6 for trades and 5 for mart."""

    def __post_init__(self) -> None:
        one_of("objective", self.objective, OBJECTIVES)
        if self.beta is not None:
            non_negative("beta", self.beta)
            if self.objective == "pgd-at":
                raise LetheError("pgd-at has no beta: it weighs the divergence of trades and mart.")

    def build(self, attack: PGD) -> PGDAT:
        """The objective, with this attack started and raising what its authors' code starts and raises."""
        if self.objective == "pgd-at":
            return PGDAT(attack)
        beta = BETA[self.objective] if self.beta is None else self.beta
        if not attack.random_start or (self.objective == "trades" and attack.loss not in ("ce", "kl")):
            raise LetheError(
                f"{self.objective} starts beside the image, and trades raises the divergence: leave random-start and "
                "loss out."
            )
        beside = replace(attack, initial="normal")
        if self.objective == "trades":
            return TRADES(replace(beside, loss="kl"), beta)
        return MART(beside, beta)
