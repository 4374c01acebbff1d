"""What several networks share: the published initial weights, and dropout that is not there at 0."""

from __future__ import annotations

from torch import nn


def fan_out_weights(network: nn.Module) -> None:
    """Draw convolutions from N(0, 2 / fan-out) and set linear biases to 0, as AMP's code does for all its networks."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def dropout(share: float) -> nn.Module:
    """Dropout of this share; nothing at 0, so that no random number is drawn."""
    return nn.Dropout(share) if share else nn.Identity()
