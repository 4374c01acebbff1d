"""What a step minimises, and what it costs."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lethe
from lethe.attacks import PGD
from lethe.objectives import (
    MART,
    PGDAT,
    TRADES,
    Batch,
    Distillation,
    DistillationConfig,
    Flooding,
    LabelSmoothing,
    MixUp,
    SmallLossPGDAT,
    Standard,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16, bias=False), nn.Tanh(), nn.Linear(16, 4, bias=False))


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 3, 2, 2, generator=generator), torch.randint(4, (8,), generator=generator)


def labelled(*classes):
    """A batch of these classes, whose images do not matter."""
    return Batch(torch.zeros(len(classes)), torch.tensor(classes), torch.zeros(len(classes)))


def logits_of(*rows):
    """A network that returns these logits whatever it sees."""
    return lambda x: torch.tensor(rows, dtype=torch.float64)


def test_standard_training_is_cross_entropy_on_the_images_as_they_are():
    model, (x, y) = network(), batch()
    objective = Standard()
    ready = objective.prepare(model, x, y, torch.Generator())
    assert ready.images is x
    assert ready.targets is y
    loss, logits = objective.loss(model, ready)
    assert torch.equal(logits, model(x))
    assert torch.equal(loss, F.cross_entropy(model(x), y))


def test_adversarial_training_is_cross_entropy_on_attacked_images():
    model, (x, y) = network(), batch()
    attack = PGD(epsilon=0.1, step_size=0.05, steps=3)
    ready = PGDAT(attack).prepare(model, x, y, torch.Generator().manual_seed(1))
    assert ready.targets is y
    assert ready.clean is x
    assert torch.equal(ready.images, attack(model, x, y, torch.Generator().manual_seed(1)))
    loss, logits = PGDAT(attack).loss(model, ready)
    assert torch.equal(loss, F.cross_entropy(model(ready.images), y))
    assert torch.equal(logits, model(ready.images))


KL = PGD(epsilon=0.1, step_size=0.05, steps=5, loss="kl", initial="normal")


@pytest.mark.parametrize(
    ("objective", "passes"),
    [(PGDAT(PGD(steps=5)), 2 * 5 + 3), (TRADES(KL, 6.0), 2 * 5 + 7), (MART(PGD(steps=5), 5.0), 2 * 5 + 6)],
    ids=["PGD-AT: 2K+3", "TRADES: 2K+7", "MART: 2K+6"],
)
def test_what_a_step_of_adversarial_training_costs(objective, passes):
    model, (x, y) = network(), batch()
    with FlopCounterMode(display=False) as forward:
        model(x)
    with FlopCounterMode(display=False) as step:
        ready = objective.prepare(model, x, y, torch.Generator())
        # The inputs want gradients so that the first layer's backward is a full one; views, so that it is counted.
        images, clean = (part.detach().requires_grad_() for part in (ready.images, ready.clean))
        objective.loss(model, Batch(images.view_as(images), y, clean.view_as(clean)))[0].backward()
    assert step.get_total_flops() == passes * forward.get_total_flops()


def by_images(x):
    """A network of two images: 0 is classified (3/4, 1/4), 1 is classified (1/2, 1/2)."""
    p = torch.tensor([[0.75, 0.25], [0.5, 0.5]], dtype=torch.float64)
    return p.log()[x]


def test_trades_by_hand():
    ready = Batch(torch.tensor([1]), torch.tensor([0]), torch.tensor([0]))
    loss, logits = TRADES(PGD(loss="kl"), beta=6.0).loss(by_images, ready)
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(loss) == pytest.approx(-math.log(0.75) + 6 * divergence, rel=1e-9)
    assert torch.equal(logits, by_images(torch.tensor([1])))


def test_mart_by_hand():
    ready = Batch(torch.tensor([1]), torch.tensor([0]), torch.tensor([0]))
    loss, logits = MART(PGD(), beta=5.0).loss(by_images, ready)
    boosted = -math.log(0.5) - math.log(1.0001 - 0.5)
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(loss) == pytest.approx(boosted + 5 * divergence * (1 - 0.75), rel=1e-6)
    assert torch.equal(logits, by_images(torch.tensor([1])))


def test_mart_counts_the_best_wrong_class_also_where_the_right_one_is_below():
    p = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    ready = Batch(torch.zeros(1), torch.tensor([0]), torch.zeros(1))
    loss, _ = MART(PGD(), beta=0.0).loss(lambda x: p.log(), ready)
    assert float(loss) == pytest.approx(-math.log(0.2) - math.log(1.0001 - 0.5), rel=1e-9)


def test_no_divergence_is_standard_training():
    model, (x, y) = network(), batch()
    loss, _ = TRADES(KL, beta=0.0).loss(model, Batch(x + 0.1, y, x))
    torch.testing.assert_close(loss, F.cross_entropy(model(x), y))


def test_label_smoothing_by_hand_and_against_torchs():
    # Probabilities 1/2, 1/4, 1/4 of three classes, the first is right: 0.8 ln 2 + 0.1 ln 4 + 0.1 ln 4 = 1.2 ln 2.
    model = logits_of([2.0, 1.0, 1.0])
    p = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    loss, logits = LabelSmoothing(0.2).loss(lambda x: p.log(), labelled(0))
    assert float(loss) == pytest.approx(1.2 * torch.tensor(2.0, dtype=torch.float64).log().item(), rel=1e-12)
    loss, logits = LabelSmoothing(0.2).loss(model, labelled(1))
    torchs = F.cross_entropy(logits, torch.tensor([1]), label_smoothing=0.2 * 3 / 2)
    assert float(loss) == pytest.approx(float(torchs), rel=1e-12)


def test_no_smoothing_is_cross_entropy():
    model, (x, y) = network(), batch()
    torch.testing.assert_close(LabelSmoothing(0.0).loss(model, Batch(x, y, x))[0], F.cross_entropy(model(x), y))


def test_flooding_pushes_a_loss_under_the_level_up_again():
    logits = torch.tensor([[3.0, 0.0]], requires_grad=True)
    y = torch.tensor([0])
    plain = F.cross_entropy(logits, y)
    low, _ = Flooding(0.5).loss(lambda x: logits, labelled(0))  # the loss is 0.0486
    assert low.item() == pytest.approx(1.0 - plain.item())
    (down,) = torch.autograd.grad(F.cross_entropy(logits, y), logits)
    (up,) = torch.autograd.grad(low, logits)
    assert torch.equal(up, -down)
    high, _ = Flooding(0.02).loss(lambda x: logits, labelled(0))
    assert high.item() == pytest.approx(plain.item())


@given(st.floats(0.1, 10.0), st.integers(0, 2**31))
def test_mixed_images_and_labels_carry_the_same_shares(alpha, seed):
    x = torch.eye(5).view(5, 1, 1, 5)  # image i is the unit vector i, and so is its label
    y = torch.arange(5)
    ready = MixUp(5, alpha).prepare(None, x, y, torch.Generator().manual_seed(seed))
    mixed, targets = ready.images, ready.targets
    assert torch.equal(mixed.flatten(1), targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(5))
    assert mixed.min() >= 0
    assert mixed.max() <= 1


def test_every_image_has_a_share_of_its_own_and_they_are_uniform_at_alpha_1():
    x, y = torch.zeros(4000, 1, 1, 1), torch.zeros(4000, dtype=torch.long)
    x[::2], y[::2] = 1.0, 1
    shares = MixUp(2, 1.0).prepare(None, x, y, torch.Generator().manual_seed(0)).targets[:, 1]
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
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.targets, two.targets)
    assert not torch.equal(one.images, other.images)


def test_mixed_labels_train_by_the_weighted_cross_entropies():
    model, (x, y) = network(), batch()
    ready = MixUp(4, 1.0).prepare(model, x, y, torch.Generator().manual_seed(0))
    loss, logits = MixUp(4, 1.0).loss(model, ready)
    by_hand = -(ready.targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, by_hand)


def test_the_ascent_keeps_small_losses_and_divides_by_the_whole_batch():
    # Losses ln 2 and ln 4 of two samples: under 1.0 only the first counts, and half of it.
    p = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
    objective = SmallLossPGDAT(PGD(), threshold=1.0)
    loss = objective.ascent_loss(lambda x: p.log(), labelled(0, 0))
    assert float(loss) == pytest.approx(torch.tensor(2.0, dtype=torch.float64).log().item() / 2, rel=1e-12)
    assert float(SmallLossPGDAT(PGD(), 0.5).ascent_loss(lambda x: p.log(), labelled(0, 0))) == 0.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LabelSmoothing(1.5), "smoothing must lie in"),
        (lambda: Flooding(-0.1), "level must be a finite number of at least 0"),
        (lambda: TRADES(KL, -1.0), "beta must be a finite number of at least 0"),
        (lambda: MART(PGD(), -1.0), "beta must be a finite number of at least 0"),
        (lambda: DistillationConfig(clean_weight=0.5, robust_weight=0.6), "together must not exceed 1"),
        (lambda: DistillationConfig(temperature=0.0), "temperature must be above 0"),
        (lambda: MixUp(4, 0.0), "alpha must be above 0"),
        (lambda: SmallLossPGDAT(PGD(), -1.0), "threshold must be a finite number of at least 0"),
    ],
)
def test_what_is_out_of_range_is_refused(build, message):
    with pytest.raises(lethe.LetheError, match=message):
        build()


def test_distillation_by_hand():
    # One image; student (1/2, 1/2), clean teacher (3/4, 1/4), robust teacher (1/4, 3/4), all at temperature 1.
    half, clean, robust = (Constant([p, 1 - p]) for p in (0.5, 0.75, 0.25))
    config = DistillationConfig(temperature=1.0, clean_weight=0.2, robust_weight=0.3)
    loss, _ = Distillation(PGD(), clean, robust, config).loss(half, labelled(0))
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)  # every target costs ln 2 for such a student
    sure = Constant([0.75, 0.25])
    loss, _ = Distillation(PGD(), clean, robust, config).loss(sure, labelled(0))
    own = 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    other = 0.25 * math.log(0.75) + 0.75 * math.log(0.25)
    assert float(loss) == pytest.approx(-(0.5 * math.log(0.75) + 0.2 * own + 0.3 * other), rel=1e-6)


def test_temperature_softens_and_its_square_scales():
    student, teacher = Constant([0.9, 0.1]), Constant([0.2, 0.8])
    config = DistillationConfig(temperature=2.0, clean_weight=0.0, robust_weight=1.0)
    loss, _ = Distillation(PGD(), teacher, teacher, config).loss(student, labelled(0))

    def softened(p):
        return math.sqrt(p) / (math.sqrt(p) + math.sqrt(1 - p))

    p, q = softened(0.9), softened(0.2)
    assert float(loss) == pytest.approx(-4 * (q * math.log(p) + (1 - q) * math.log(1 - p)), rel=1e-6)


def test_teachers_are_left_in_evaluation_mode_without_gradient():
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).train()
    objective = Distillation(PGD(steps=1), teacher, teacher, DistillationConfig())
    model, (x, y) = network(), batch()
    objective.loss(model, objective.prepare(model, x, y, torch.Generator()))[0].backward()
    assert not teacher.training
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in model.parameters())


class Constant(nn.Module):
    """Logits of these probabilities for every image."""

    def __init__(self, p):
        super().__init__()
        self.register_buffer("logits", torch.tensor(p).log())

    def forward(self, x):
        return self.logits.expand(len(x), -1)
