"""The consistency loss: stay close to what the stable model says."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lethe._check import one_of, positive

DISTANCES = ("kl", "mse")


def consistency_loss(logits: Tensor, stable_logits: Tensor, temperature: float = 1.0, distance: str = "kl") -> Tensor:
    """Distance of the working model's predictions from the stable model's, times ``temperature²``.

    Args:
        logits: of the working model, (B, K).
        stable_logits: of the stable model, (B, K); no gradient flows into it.
        temperature: divides both logits; above 0.
        distance: ``"kl"``: the Kullback-Leibler divergence ``KL(p_stable ‖ p_working)``, in nats, mean over the batch;
            ``"mse"``: the squared difference of the probabilities, mean over batch and classes, as Mean Teacher's
            (Tarvainen and Valpola, NeurIPS 2017).

    Raises:
        LetheError: ``temperature`` not above 0, or an unknown ``distance``.

    Source: the form is CURE's (ICLR 2024, same laboratory as FOMO), equation 8; FOMO's own is not public.
    """
    positive("temperature", temperature)
    one_of("distance", distance, DISTANCES)
    wide = torch.promote_types(logits.dtype, torch.float32)  # under autocast they may come in half precision
    student, teacher = logits.to(wide) / temperature, stable_logits.detach().to(wide) / temperature
    if distance == "mse":
        return temperature**2 * F.mse_loss(student.softmax(dim=1), teacher.softmax(dim=1))
    return temperature**2 * F.kl_div(
        F.log_softmax(student, dim=1), F.log_softmax(teacher, dim=1), reduction="batchmean", log_target=True
    )
