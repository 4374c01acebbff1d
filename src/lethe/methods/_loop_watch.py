"""What a loop of the user's own is told while it runs: calls that it leaves out, and what comes to nothing."""

from __future__ import annotations

import warnings


class LoopWatch:
    """Whether steps, and the epoch itself, were ended in the epoch that began last.

    Attributes:
        own: it is the user's own loop; Lethe's leaves nothing out.
        stepped: ``end_step`` was called.
        ended: ``end_epoch`` was called.
    """

    def __init__(self) -> None:
        self.own = True
        self.stepped = self.ended = False

    def look_back(self, epoch: int, asked: int, *, recomputes: bool) -> None:
        """Warn, when the next epoch begins, of what was left out in this one; then begin anew.

        Args:
            epoch: that is over.
            asked: how many batches the stable model was asked about since the last ``end_step``.
            recomputes: whether the stable model's statistics are to be recomputed after each epoch.
        """
        if asked > 2 and not self.stepped:  # once or twice may be a look
            warnings.warn(
                f"fomo.end_step() was not called in epoch {epoch}: the stable model stands still, and the "
                "consistency loss pulls towards it. Call it after each step of the optimizer.",
                stacklevel=4,
            )
        if self.stepped and not self.ended and recomputes:
            warnings.warn(
                f"stable_statistics='recompute', but fomo.end_epoch(epoch, images) was not called after epoch "
                f"{epoch}: the stable model's statistics are not its own.",
                stacklevel=4,
            )
        self.stepped = self.ended = False

    def state_dict(self) -> dict[str, bool]:
        """What was called so far."""
        return {"stepped": self.stepped, "ended": self.ended}

    def load_state_dict(self, state: dict[str, bool]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.stepped, self.ended = state["stepped"], state["ended"]


def warn_without_batches(criterion: str) -> None:
    """Say in the first epoch what would fail in the epoch of the first forgetting."""
    warnings.warn(
        f"the criterion {criterion!r} looks at data: where it is to forget, it fails without "
        "begin_epoch(epoch, batches).",
        stacklevel=3,
    )


def warn_of_nothing(fraction: float, granularity: str) -> None:
    """Say that a forgetting forgot nothing."""
    warnings.warn(
        f"nothing was forgotten: {fraction:.2%} of these {granularity} rounds to none. Take a larger fraction, "
        "count='overall', or a finer granularity.",
        stacklevel=4,
    )


def warn_of_silence(epoch: int) -> None:
    """Say that an automatic start has nothing to go by."""
    warnings.warn(
        f"FOMO(start='auto') has heard of no validation accuracy by epoch {epoch} and will never forget without: call "
        "fomo.observe(accuracy) after each epoch's evaluation.",
        stacklevel=3,
    )
