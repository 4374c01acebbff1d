"""The consistency loss: stay close to what the stable model says."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def consistency_loss(logits: Tensor, stable_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence ``KL(p_stable ‖ p_working)``, mean over the batch, times ``temperature²``.

    Args:
        logits: of the working model, (B, K).
        stable_logits: of the stable model, (B, K); no gradient flows into it.
        temperature: divides both logits; above 0.

    Source: the form is CURE's (ICLR 2024, same laboratory as FOMO), equation 8; FOMO's own is not public.
    """
    return temperature**2 * F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(stable_logits.detach() / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
