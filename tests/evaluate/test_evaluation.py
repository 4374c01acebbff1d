"""Evaluations: kept as they go, continued, compared, and warned of."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe
from lethe.data import ImageSet
from lethe.evaluate import (
    Evaluation,
    Threat,
    batch_attack,
    evaluate,
    signs_in_the_network,
    signs_in_the_verdicts,
    title,
)


class Brightness(nn.Module):
    """Three classes of the mean brightness: dark, middle, bright, with edges at 1/3 and 2/3."""

    def __init__(self, scale=20.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x):
        centres = torch.tensor([1 / 6, 0.5, 5 / 6], device=x.device)
        return -self.scale * (x.flatten(1).mean(1, keepdim=True) - centres).square()


def grey(values, labels):
    return ImageSet(torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone(), torch.tensor(labels), 3)


DATA = grey([0.1, 0.30, 0.38, 0.49, 0.9, 0.2], [0, 0, 1, 1, 2, 1])  # the last is wrong
THREAT = Threat("linf", 0.06)


def test_accuracies_and_verdicts_by_hand():
    found = evaluate(Brightness(), DATA, ["fgsm", "pgd-5", "cw-5"], THREAT)
    assert found.right["clean"].tolist() == [True, True, True, True, True, False]
    for name in ("fgsm", "pgd-5", "cw-5"):  # 0.30 and 0.38 lie within 0.06 of an edge
        assert found.right[name].tolist() == [True, False, False, True, True, False]
    assert found.accuracy("clean") == 5 / 6
    assert found.worst() == 3 / 6
    assert found.warnings == []
    content = found.content()
    assert content["robust accuracy"] == {"FGSM": 0.5, "PGD-5": 0.5, "C&W-5": 0.5}
    assert content["right"]["pgd-5"] == "100110"


def test_the_worst_is_taken_image_by_image():
    found = Evaluation({}, right={"a": torch.tensor([True, False, True]), "b": torch.tensor([False, True, True])})
    assert found.worst() == pytest.approx(1 / 3)


def test_the_shortest_perturbation_counts_within_the_ball():
    threat = Threat("l2", 0.3)  # a shift of d is 4 d long: 0.30 is 0.133 away from the edge, 0.49 0.627
    found = evaluate(Brightness(), DATA, ["cw-l2", "pgd-20"], threat)
    assert found.right["cw-l2"].tolist() == [True, False, False, True, True, False]
    assert torch.equal(found.right["cw-l2"], found.right["pgd-20"])


def test_an_evaluation_that_was_stopped_goes_on(tmp_path):
    path, about = tmp_path / "folder" / "found.json", {"epsilon": 0.06, "of": "images"}
    asked = []

    def stop(name, share):
        asked.append(name)
        if name == "pgd-5" and share == 0.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(
            Brightness(), DATA, ["fgsm", "pgd-5"], THREAT, evaluation=Evaluation.open(path, about), on_progress=stop
        )
    kept = json.loads(path.read_text())
    assert set(kept["right"]) == {"clean", "fgsm"}
    asked.clear()
    again = Evaluation.open(path, about)
    found = evaluate(
        Brightness(), DATA, ["fgsm", "pgd-5"], THREAT, evaluation=again, on_progress=lambda name, _: asked.append(name)
    )
    assert set(asked) == {"pgd-5"}
    whole = evaluate(Brightness(), DATA, ["fgsm", "pgd-5"], THREAT)
    assert all(torch.equal(found.right[name], whole.right[name]) for name in whole.right)
    assert found.calibration == whole.calibration


def test_warnings_are_not_lost_where_it_is_stopped_while_it_looks_for_them(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    path = tmp_path / "found.json"
    with monkeypatch.context() as patched:
        patched.setattr("lethe.evaluate._evaluation.signs_in_the_network", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(Saturated(), DATA, ["pgd-20"], THREAT, evaluation=Evaluation.open(path, {}))
    assert json.loads(path.read_text())["warnings"] == []
    for _ in range(2):
        again = evaluate(Saturated(), DATA, ["pgd-20"], THREAT, evaluation=Evaluation.open(path, {}))
        assert again.warnings == evaluate(Saturated(), DATA, ["pgd-20"], THREAT).warnings != []


def test_a_file_of_another_evaluation_is_not_touched(tmp_path):
    path = tmp_path / "found.json"
    evaluate(Brightness(), DATA, [], THREAT, evaluation=Evaluation.open(path, {"epsilon": 0.06}))
    before = path.read_bytes()
    with pytest.raises(lethe.LetheError, match="is of another evaluation"):
        Evaluation.open(path, {"epsilon": 0.07})
    path.write_text("{}")
    with pytest.raises(lethe.LetheError, match="cannot be read as an evaluation"):
        Evaluation.open(path, {"epsilon": 0.06})
    path.write_bytes(before)
    assert Evaluation.open(path, {"epsilon": 0.06}).accuracy("clean") == 5 / 6


def test_an_evaluation_leaves_no_trace():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)
    ).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, DATA, ["pgd-2"], THREAT)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model] == [True, False, True, True, True]
    assert all(p.grad is None for p in model.parameters())


class Saturated(Brightness):
    """A broken defence: logits so large that the softmax has no gradient, except in images near an edge."""

    def forward(self, x):
        return super().forward(x).double().mul(1e6)


def test_a_masked_gradient_draws_the_warning():
    found = evaluate(Saturated(), DATA, ["pgd-20"], THREAT)
    text = "; ".join(found.warnings)
    assert "the loss has no gradient at" in text
    assert "PGD-50 leaves" in text
    assert evaluate(Brightness(), DATA, ["pgd-20"], THREAT).warnings == []


def test_a_network_that_is_not_deterministic_draws_the_warning():
    class Noisy(Brightness):
        def forward(self, x):
            return super().forward(x + 0.1 * torch.randn_like(x))

    (warning,) = [w for w in signs_in_the_network(Noisy(), DATA, THREAT) if "deterministic" in w]
    assert "autoattack-rand" in warning


def test_a_network_that_sees_nothing_is_not_accused_of_masking():
    class Always(nn.Module):
        def forward(self, x):
            return torch.tensor([0.0, 1.0, 0.0]) + 0 * x.flatten(1)[:, :3]

    found = signs_in_the_network(Always(), DATA, THREAT)
    assert any("predicts class 1 for every image" in sign for sign in found)
    assert not any("PGD-50" in sign for sign in found)
    one_class = grey([0.4, 0.45], [1, 1])  # of which a good network predicts one class alone
    assert signs_in_the_network(Brightness(), one_class, THREAT) == []
    assert "the loss has no gradient at 100% of the images: gradients are masked" in signs_in_the_network(
        Always(), one_class, THREAT
    )
    wrong = grey([0.1, 0.9], [2, 0])
    assert signs_in_the_network(Brightness(), wrong, THREAT) == [
        "the network classifies no image right, so nothing can be said of its gradients"
    ]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"fgsm": 40, "pgd-20": 50}, "one step is stronger than many: FGSM leaves 40.0%, PGD-20 50.0%"),
        ({"pgd-20": 50, "square": 45}, "the black-box attack Square is stronger than the white box"),
        ({"pgd-20": 50, "cw-100": 48, "transfer": 30}, "another network's images is stronger than the white box"),
        ({"autoattack:fab-t": 50, "autoattack": 45}, "Square fools 5.0% more after AutoAttack's other attacks"),
    ],
)
def test_verdicts_that_contradict_each_other_draw_a_warning(shares, message):
    right = {name: torch.arange(100) < share for name, share in shares.items()}
    (warning,) = signs_in_the_verdicts(right)
    assert message in warning


@pytest.mark.parametrize("strong", ["fgsm", "square", "transfer"])
@pytest.mark.parametrize(("fewer", "told"), [(4, 0), (6, 1)])  # half a point of a thousand images is five
def test_half_a_point_between_attacks_is_chance(strong, fewer, told):
    right = {"pgd-20": torch.arange(1000) < 500, strong: torch.arange(1000) < 500 - fewer}
    assert len(signs_in_the_verdicts(right)) == told


@pytest.mark.parametrize(("fewer", "told"), [(1, 0), (3, 1)])  # AutoAttack's own bound, 0.2 points, is two
def test_square_may_add_what_autoattack_allows_it(fewer, told):
    right = {"autoattack:fab-t": torch.arange(1000) < 500, "autoattack": torch.arange(1000) < 500 - fewer}
    assert len(signs_in_the_verdicts(right)) == told


@pytest.mark.parametrize(("held", "told"), [(9, False), (11, True)])  # of 200 images, 5 % are ten
def test_a_twentieth_of_the_images_may_outlast_a_very_large_ball(held, told):
    class Holds(Brightness):
        """Where the first pixel is white, which moves by chance alone, it says dark; else it sees the lower row."""

        def forward(self, x):
            white = x[:, :1, 0, 0].detach() > 0.5
            return torch.where(white, torch.tensor([1.0, 0.0, 0.0]), super().forward(x[:, :, 1]))

    images = torch.zeros(200, 1, 2, 2)
    images[:, :, 1] = torch.where(torch.arange(200) < 100, 0.1, 0.4).view(-1, 1, 1)
    images[:held, :, 0, 0] = 1.0
    data = ImageSet(images, (torch.arange(200) >= 100).long(), 3)
    found = signs_in_the_network(Holds(), data, THREAT)
    assert any("PGD-50 leaves" in sign for sign in found) == told


def test_too_few_steps_to_cross_the_ball_prove_nothing():
    shares = {"fgsm": 40, "pgd-7": 50, "square": 45}
    right = {name: torch.arange(100) < share for name, share in shares.items()}
    assert signs_in_the_verdicts(right) == []
    assert len(signs_in_the_verdicts(right, Threat(step_size=8 / 255))) == 2


def test_verdicts_as_they_should_be_draw_none():
    shares = {"clean": 90, "fgsm": 60, "pgd-20": 50, "cw-100": 48, "square": 55, "transfer": 80}
    assert signs_in_the_verdicts({name: torch.arange(100) < share for name, share in shares.items()}) == []


@pytest.mark.parametrize(
    ("name", "threat", "message"),
    [
        ("pgd", THREAT, "unknown attack 'pgd'. Did you mean 'pgd-STEPS'"),
        ("PGD-20", THREAT, "unknown attack 'PGD-20'. Did you mean 'pgd-STEPS'"),
        ("pgd-0", THREAT, "at least 1"),
        ("fgsm", Threat("l2", 1.0), "fgsm is an attack in linf"),
        ("cw-l2", THREAT, "cw-l2 measures in l2"),
        ("transfer", THREAT, "name its run with --transfer-from"),
        ("autoattack", THREAT, "compares the 4 largest logits, and there are 3 classes"),
    ],
)
def test_an_attack_that_is_not_there_is_refused_before_anything_runs(name, threat, message):
    asked = []
    with pytest.raises(lethe.LetheError, match=message):
        evaluate(Brightness(), DATA, [name], threat, on_progress=lambda *what: asked.append(what))
    assert asked == []


def test_transferred_images_are_made_on_the_other_network():
    class Blind(nn.Module):
        def forward(self, x):
            return F.one_hot(torch.zeros(len(x), dtype=torch.long), 3).float() + 0 * x.flatten(1)[:, :3]

    own = evaluate(Brightness(), DATA, ["transfer"], THREAT, source=Brightness())
    assert own.accuracy("transfer") == 0.5
    other = evaluate(Brightness(), DATA, ["transfer"], Threat("linf", 0.001), source=Blind())
    assert other.accuracy("transfer") == other.accuracy("clean")


def test_titles_are_those_of_the_literature():
    names = ("clean", "fgsm", "pgd-20", "cw-100", "cw-l2", "autoattack", "autoattack:apgd-ce", "square", "transfer")
    assert [title(name) for name in names] == [
        *(
            "clean",
            "FGSM",
            "PGD-20",
            "C&W-100",
            "C&W l2",
            "AutoAttack",
            "AutoAttack after APGD-CE",
            "Square",
            "transfer",
        )
    ]
    assert batch_attack("pgd-7", Threat("linf", 0.1)).step_size == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 8}, "for 8 grey levels write 8/255"),
        ({"norm": "l1"}, "unknown norm 'l1'"),
        ({"step_size": float("nan")}, "step_size must be a finite number"),
    ],
)
def test_a_ball_that_no_attack_of_its_own_would_refuse_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Threat(**options)
    assert Threat("l2", 8.0).epsilon == 8.0


def test_c_and_w_by_steps_has_the_margin_loss_in_l2_too():
    assert batch_attack("cw-20", Threat("l2", 1.0)).loss == "margin"
