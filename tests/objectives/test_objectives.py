"""What a step minimises, and what it costs."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lethe
from lethe.attacks import PGD
from lethe.objectives import PGDAT, Flooding, LabelSmoothing, MixUp, SmallLossPGDAT, Standard


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16, bias=False), nn.Tanh(), nn.Linear(16, 4, bias=False))


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 3, 2, 2, generator=generator), torch.randint(4, (8,), generator=generator)


def logits_of(*rows):
    """A network that returns these logits whatever it sees."""
    return lambda x: torch.tensor(rows, dtype=torch.float64)


def test_standard_training_is_cross_entropy_on_the_images_as_they_are():
    model, (x, y) = network(), batch()
    objective = Standard()
    images, targets = objective.prepare(model, x, y, torch.Generator())
    assert images is x
    assert targets is y
    loss, logits = objective.loss(model, x, y)
    assert torch.equal(logits, model(x))
    assert torch.equal(loss, F.cross_entropy(model(x), y))


def test_adversarial_training_is_cross_entropy_on_attacked_images():
    model, (x, y) = network(), batch()
    attack = PGD(epsilon=0.1, step_size=0.05, steps=3)
    attacked, targets = PGDAT(attack).prepare(model, x, y, torch.Generator().manual_seed(1))
    assert targets is y
    assert torch.equal(attacked, attack(model, x, y, torch.Generator().manual_seed(1)))
    loss, logits = PGDAT(attack).loss(model, attacked, y)
    assert torch.equal(loss, F.cross_entropy(model(attacked), y))
    assert torch.equal(logits, model(attacked))


def test_a_step_of_adversarial_training_costs_2k_plus_3_forward_passes():
    model, (x, y) = network(), batch()
    x.requires_grad_()  # so that the first layer's backward is a full one
    objective = PGDAT(PGD(steps=5))
    with FlopCounterMode(display=False) as forward:
        model(x)
    with FlopCounterMode(display=False) as step:
        attacked = objective.prepare(model, x, y, torch.Generator())[0].requires_grad_()
        objective.loss(model, attacked.view_as(attacked), y)[0].backward()
    assert step.get_total_flops() == (2 * 5 + 3) * forward.get_total_flops()


def test_label_smoothing_by_hand_and_against_torchs():
    # Probabilities 1/2, 1/4, 1/4 of three classes, the first is right: 0.8 ln 2 + 0.1 ln 4 + 0.1 ln 4 = 1.2 ln 2.
    model = logits_of([2.0, 1.0, 1.0])
    p = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    loss, logits = LabelSmoothing(0.2).loss(lambda x: p.log(), torch.zeros(1), torch.tensor([0]))
    assert float(loss) == pytest.approx(1.2 * torch.tensor(2.0, dtype=torch.float64).log().item(), rel=1e-12)
    loss, logits = LabelSmoothing(0.2).loss(model, torch.zeros(1), torch.tensor([1]))
    torchs = F.cross_entropy(logits, torch.tensor([1]), label_smoothing=0.2 * 3 / 2)
    assert float(loss) == pytest.approx(float(torchs), rel=1e-12)


def test_no_smoothing_is_cross_entropy():
    model, (x, y) = network(), batch()
    torch.testing.assert_close(LabelSmoothing(0.0).loss(model, x, y)[0], F.cross_entropy(model(x), y))


def test_flooding_pushes_a_loss_under_the_level_up_again():
    logits = torch.tensor([[3.0, 0.0]], requires_grad=True)
    y = torch.tensor([0])
    plain = F.cross_entropy(logits, y)
    low, _ = Flooding(0.5).loss(lambda x: logits, None, y)  # the loss is 0.0486
    assert low.item() == pytest.approx(1.0 - plain.item())
    (down,) = torch.autograd.grad(F.cross_entropy(logits, y), logits)
    (up,) = torch.autograd.grad(low, logits)
    assert torch.equal(up, -down)
    high, _ = Flooding(0.02).loss(lambda x: logits, None, y)
    assert high.item() == pytest.approx(plain.item())


@given(st.floats(0.1, 10.0), st.integers(0, 2**31))
def test_mixed_images_and_labels_carry_the_same_shares(alpha, seed):
    x = torch.eye(5).view(5, 1, 1, 5)  # image i is the unit vector i, and so is its label
    y = torch.arange(5)
    mixed, targets = MixUp(5, alpha).prepare(None, x, y, torch.Generator().manual_seed(seed))
    assert torch.equal(mixed.flatten(1), targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(5))
    assert mixed.min() >= 0
    assert mixed.max() <= 1


def test_every_image_has_a_share_of_its_own_and_they_are_uniform_at_alpha_1():
    x, y = torch.zeros(4000, 1, 1, 1), torch.zeros(4000, dtype=torch.long)
    x[::2], y[::2] = 1.0, 1
    _, targets = MixUp(2, 1.0).prepare(None, x, y, torch.Generator().manual_seed(0))
    shares = targets[:, 1]
    strictly_between = shares[(shares > 0) & (shares < 1)]
    assert 1850 < len(strictly_between) < 2150  # half of the pairs are of unlike images
    assert len(strictly_between.unique()) > 1800
    for quantile in (0.25, 0.5, 0.75):
        assert float(strictly_between.quantile(quantile)) == pytest.approx(quantile, abs=0.03)


def test_a_mixture_follows_its_generator_alone():
    x, y = batch()
    torch.manual_seed(0)
    one = MixUp(4, 1.0).prepare(None, x, y, torch.Generator().manual_seed(3))
    torch.manual_seed(1)
    two = MixUp(4, 1.0).prepare(None, x, y, torch.Generator().manual_seed(3))
    other = MixUp(4, 1.0).prepare(None, x, y, torch.Generator().manual_seed(4))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])


def test_mixed_labels_train_by_the_weighted_cross_entropies():
    model, (x, y) = network(), batch()
    mixed, targets = MixUp(4, 1.0).prepare(model, x, y, torch.Generator().manual_seed(0))
    loss, logits = MixUp(4, 1.0).loss(model, mixed, targets)
    by_hand = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, by_hand)


def test_the_ascent_keeps_small_losses_and_divides_by_the_whole_batch():
    # Losses ln 2 and ln 4 of two samples: under 1.0 only the first counts, and half of it.
    p = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
    objective = SmallLossPGDAT(PGD(), threshold=1.0)
    loss = objective.ascent_loss(lambda x: p.log(), None, torch.tensor([0, 0]))
    assert float(loss) == pytest.approx(torch.tensor(2.0, dtype=torch.float64).log().item() / 2, rel=1e-12)
    assert float(SmallLossPGDAT(PGD(), 0.5).ascent_loss(lambda x: p.log(), None, torch.tensor([0, 0]))) == 0.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LabelSmoothing(1.5), "smoothing must lie in"),
        (lambda: Flooding(-0.1), "level must be a finite number of at least 0"),
        (lambda: MixUp(4, 0.0), "alpha must be above 0"),
        (lambda: SmallLossPGDAT(PGD(), -1.0), "threshold must be a finite number of at least 0"),
    ],
)
def test_what_is_out_of_range_is_refused(build, message):
    with pytest.raises(lethe.LetheError, match=message):
        build()
