"""Element by element against torchattacks, where it is installed: make crosscheck."""

import pytest
import torch
from torch import nn

from lethe.attacks import PGD, fgsm

torchattacks = pytest.importorskip("torchattacks", reason="make crosscheck installs it into an environment of its own")


def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
    return nn.Sequential(*layers).eval()


def images(count=64):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, 8, 8, generator=generator), torch.randint(10, (count,), generator=generator)


@pytest.mark.parametrize("epsilon", [2 / 255, 8 / 255])
@pytest.mark.parametrize("steps", [1, 7, 20])
def test_pgd_without_random_start_finds_the_same_images(epsilon, steps):
    model, (x, y) = network(), images()
    theirs = torchattacks.PGD(model, eps=epsilon, alpha=epsilon / 4, steps=steps, random_start=False)(x, y)
    ours = PGD(epsilon=epsilon, step_size=epsilon / 4, steps=steps, random_start=False)(model, x, y)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_pgd_in_l2_finds_the_same_images():
    model, (x, y) = network(), images()
    theirs = torchattacks.PGDL2(model, eps=0.5, alpha=0.1, steps=10, random_start=False)(x, y)
    ours = PGD(epsilon=0.5, step_size=0.1, steps=10, norm="l2", random_start=False)(model, x, y)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_fgsm_finds_the_same_images():
    model, (x, y) = network(), images()
    torch.testing.assert_close(
        fgsm(8 / 255)(model, x, y), torchattacks.FGSM(model, eps=8 / 255)(x, y), rtol=0, atol=1e-6
    )


def test_accuracies_from_random_starts_agree():
    """Single images near an edge may fall one way or the other by their start; their share may not."""
    model, (x, y) = network(), images(512)
    y = model(x).argmax(1)
    for epsilon in (1 / 255, 2 / 255):
        theirs = torchattacks.PGD(model, eps=epsilon, alpha=epsilon / 4, steps=50, random_start=True)(x, y)
        ours = PGD(epsilon, epsilon / 4, 50)(model, x, y, torch.Generator().manual_seed(0))
        left = [float((model(found).argmax(1) == y).float().mean()) for found in (ours, theirs)]
        assert left[0] == pytest.approx(left[1], abs=0.02)
