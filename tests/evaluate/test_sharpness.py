"""The loss around the weights: in closed form, independent of scale, and leaving no trace."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe
from lethe.data import ImageSet
from lethe.evaluate import slices, worst_loss


def data(count=12, size=3):
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        torch.rand(count, 1, size, size, generator=generator), torch.randint(2, (count,), generator=generator), 2
    )


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2)).eval()


def loss(model, images):
    with torch.no_grad():
        return float(F.cross_entropy(model(images.images), images.labels))


def test_the_worst_of_a_linear_network_is_in_closed_form():
    """One image: the margin falls by √2 · r · ‖W‖ · ‖x‖, the two rows moving apart along the image."""
    one = ImageSet(torch.tensor([0.6, 0.8]).view(1, 1, 1, 2), torch.tensor([0]), 2)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    model[1].weight.data = torch.tensor([[3.0, 0.0], [0.0, 4.0]])  # of norm 5; margin 1.8 - 3.2
    found = worst_loss(model, one, [0.0, 0.1, 0.5], steps=4)
    expected = [math.log1p(math.exp(-(1.8 - 3.2 - math.sqrt(2) * r * 5))) for r in (0.0, 0.1, 0.5)]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_the_worst_is_that_of_a_plain_ascent(steps):
    """Two radii in steps of 2 r / steps of each tensor's length, projected tensor by tensor, in double precision."""
    model, images = network().double(), data()
    x, y = images.images.double(), images.labels
    first, second = (model[k].weight for k in (1, 3))
    start, expected = [first.detach().clone(), second.detach().clone()], []
    expected.append(F.cross_entropy(model(x), y).item())
    for radius in (0.1, 0.3):
        for _ in range(steps):
            slopes = torch.autograd.grad(F.cross_entropy(model(x), y), [first, second])
            for w, w0, slope in zip((first, second), start, slopes, strict=True):
                away = w.detach() + 2 * radius / steps * w0.norm() * slope / slope.norm() - w0
                ball = radius * w0.norm()
                w.data = w0 + (away * ball / away.norm() if away.norm() > ball else away)
            expected.append(max(expected[-1], F.cross_entropy(model(x), y).item()))
    first.data, second.data = start
    found = worst_loss(model, ImageSet(x, y, 2), [0.0, 0.1, 0.3], steps=steps)
    assert found == pytest.approx(expected[::steps], rel=1e-6)  # sums are in single precision


def test_the_worst_never_falls_with_the_radius_and_begins_at_the_network():
    model, images = network(), data()
    found = worst_loss(model, images, [0.0, 0.01, 0.05, 0.2, 0.5], batch_size=5)
    assert found[0] == pytest.approx(loss(model, images), rel=1e-6)
    assert found == sorted(found)
    assert len(set(found)) == 5


def test_a_network_that_computes_the_same_at_another_scale_is_as_sharp():
    model, other, images = network().double(), network().double(), data()
    images = ImageSet(images.images.double(), images.labels, 2)
    with torch.no_grad():  # ReLU(10 a) / 10 = ReLU(a)
        other[1].weight *= 10
        other[1].bias *= 10
        other[3].weight /= 10
    assert worst_loss(model, images, [0.02, 0.1]) == pytest.approx(worst_loss(other, images, [0.02, 0.1]))
    ends = [slices(m, images, [-1.0, 0.5], [-0.5, 0.0]) for m in (model, other)]
    assert ends[0][0] == pytest.approx(ends[1][0])
    assert ends[0][1] == [pytest.approx(row) for row in ends[1][1]]


class Breaks(nn.Module):
    """Gives nan once its weight has moved by so much, at 0 from the start."""

    def __init__(self, limit):
        super().__init__()
        self.inner, self.limit = network(), limit
        self.start = self.inner[1].weight.detach().clone()

    def forward(self, x):
        moved = (self.inner[1].weight - self.start).norm() >= self.limit
        return self.inner(x) * (math.nan if moved else 1.0)


def test_a_loss_that_is_no_number_is_the_worst_from_there_on():
    assert worst_loss(Breaks(0.0), data(), [0.0, 0.1]) == [math.inf] * 2
    near, far = worst_loss(Breaks(0.1), data(), [0.0, 0.5])
    assert near == pytest.approx(loss(network(), data()))
    assert far == math.inf


def test_slices_meet_at_the_network_and_move_filters_by_their_length():
    model, images = network(), data()
    line, grid = slices(model, images, [-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], batch_size=5)
    assert line[1] == pytest.approx(loss(model, images), rel=1e-6)
    assert grid[1] == pytest.approx(line)  # the second direction at 0
    assert len({round(value, 6) for row in grid for value in row}) == 9
    assert slices(model, images, [1.0], [], seed=1)[0] != pytest.approx([line[2]])
    start = [p.detach().clone() for p in model.parameters()]
    seen = []

    class Watch(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            seen.append([p.detach().clone() for p in model.parameters()])
            return self.inner(x)

    slices(Watch(), images, [1.0], [])
    for p, w in zip(seen[0], start, strict=True):
        if w.ndim > 1:
            torch.testing.assert_close((p - w).norm(dim=1), w.norm(dim=1))
        else:
            assert torch.equal(p, w)


@pytest.mark.parametrize("measure", ["worst", "slices"])
@pytest.mark.parametrize("fails", [False, True])
def test_it_leaves_no_trace(measure, fails):
    class Fragile(nn.Module):
        calls = 0

        def forward(self, x):
            Fragile.calls += 1
            if fails and Fragile.calls == 3:
                raise KeyboardInterrupt
            return x

    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4, 2), Fragile()
    )
    model.train()[1].eval()
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    at = [p.data_ptr() for p in model.parameters()]
    with pytest.raises(KeyboardInterrupt) if fails else torch.no_grad():
        if measure == "worst":
            worst_loss(model, data(), [0.1, 0.2])
        else:
            slices(model, data(), [-1.0, 1.0], [0.5, 1.0])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [p.data_ptr() for p in model.parameters()] == at
    assert [m.training for m in model] == [True, False, True, True, True, True]
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * 5]
    assert all(p.grad is None for p in model.parameters())


def test_bad_radii_and_networks_without_weights_are_refused():
    with pytest.raises(lethe.LetheError, match=r"radii must rise, got 0\.2, 0\.1"):
        worst_loss(network(), data(), [0.2, 0.1])
    with pytest.raises(lethe.LetheError, match="this network has none"):
        worst_loss(nn.Flatten(), data(), [0.1])


def test_whole_numbers_among_the_parameters_stay():
    model = network()
    expected = worst_loss(model, data(), [0.1], steps=2)
    model.table = nn.Parameter(torch.ones(2, 2, dtype=torch.long), requires_grad=False)
    assert worst_loss(model, data(), [0.1], steps=2) == expected
    assert (model.table == 1).all()


def test_an_autocast_around_it_sees_the_moved_weights_too():
    model, images = network(), data()
    alone = worst_loss(model, images, [0.0, 0.2, 0.5])
    line, _ = slices(model, images, [-1.0, 0.0, 1.0], [0.0])
    with torch.autocast("cpu", torch.bfloat16):
        assert worst_loss(model, images, [0.0, 0.2, 0.5]) == pytest.approx(alone, rel=0.05)
        assert slices(model, images, [-1.0, 0.0, 1.0], [0.0])[0] == pytest.approx(line, rel=0.05)
    assert alone[2] > 1.1 * alone[0]
