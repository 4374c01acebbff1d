"""The variant of the block: what each shortcut sees."""

import torch
import torch.nn.functional as F
from torch import nn

from lethe.models._preact_resnet import PreActBlock


def silenced(block):
    """The block with its last convolution at zero: what remains is the shortcut."""
    nn.init.zeros_(block.conv2.weight)
    return block.eval()


def test_an_identity_shortcut_carries_the_raw_input():
    x = torch.randn(2, 3, 4, 4)
    block = silenced(PreActBlock(3, 3, 1))
    assert block.shortcut is None
    assert torch.equal(block(x), x)  # negative values too: nothing is activated


def test_a_1x1_shortcut_sees_the_activated_input_and_has_no_batch_norm():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4)
    block = PreActBlock(3, 5, 2)
    with torch.no_grad():
        block.bn1.weight.uniform_(0.5, 2.0)
        block.bn1.bias.uniform_(-1.0, 1.0)
    silenced(block)
    assert isinstance(block.shortcut, nn.Conv2d)
    assert block.shortcut.bias is None
    assert block.shortcut.weight.shape == (5, 3, 1, 1)
    activated = F.relu(block.bn1(x))
    by_hand = torch.einsum("oi,bihw->bohw", block.shortcut.weight[:, :, 0, 0], activated[:, :, ::2, ::2])
    assert torch.allclose(block(x), by_hand, atol=1e-6)
    assert not torch.allclose(block(x), F.conv2d(x, block.shortcut.weight, stride=2), atol=1e-2)


def test_a_shortcut_of_1x1_stands_wherever_the_shape_changes():
    assert PreActBlock(3, 3, 2).shortcut is not None
    assert PreActBlock(3, 5, 1).shortcut is not None


def test_both_convolutions_are_behind_batch_norm_and_relu():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4)
    block = PreActBlock(3, 3, 1).eval()
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.5, 2.0)
    hidden = F.conv2d(F.relu(block.bn1(x)), block.conv1.weight, padding=1)
    by_hand = F.conv2d(F.relu(block.bn2(hidden)), block.conv2.weight, padding=1) + x
    assert torch.allclose(block(x), by_hand, atol=1e-6)
