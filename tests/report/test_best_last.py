"""Best, last and gap, by hand."""

from lethe.report import best_last


def curve(validation, test, prefix=""):
    pairs = zip(validation, test, strict=True)
    return [{"epoch": i, f"{prefix}validation/clean": v, f"{prefix}test/clean": t} for i, (v, t) in enumerate(pairs, 1)]


def test_the_best_epoch_is_chosen_on_validation_not_on_test():
    found = best_last(curve([0.1, 0.9, 0.5], [0.8, 0.6, 0.5]), "clean")
    assert (found.best, found.best_epoch, found.last, found.test_best) == (0.6, 2, 0.5, 0.8)


def test_the_first_of_equals_is_chosen():
    found = best_last(curve([0.5, 0.9, 0.9], [0.1, 0.2, 0.3]), "clean")
    assert (found.best, found.best_epoch) == (0.2, 2)


def test_the_gap_is_what_going_on_has_cost():
    assert best_last(curve([0.9, 0.5], [0.75, 0.5]), "clean").gap == 0.25
    assert best_last(curve([0.9, 0.5], [0.5, 0.75]), "clean").gap == -0.25
    assert best_last(curve([0.5, 0.9], [0.5, 0.75]), "clean").gap == 0.0


def test_epochs_without_evaluation_are_passed_over():
    records = [{"epoch": 1, "train/loss": 1.0}, {"epoch": 2, "validation/clean": 0.5, "test/clean": 0.4}]
    found = best_last([*records, {"epoch": 3}], "clean")
    assert (found.best_epoch, found.last) == (2, 0.4)


def test_the_stable_model_is_read_by_its_prefix():
    records = [
        a | b for a, b in zip(curve([0.9, 0.1], [0.1, 0.2]), curve([0.1, 0.9], [0.3, 0.4], "stable/"), strict=True)
    ]
    assert best_last(records, "clean").best == 0.1
    assert best_last(records, "clean", "stable/").best == 0.4


def test_a_metric_that_was_not_measured_is_none():
    assert best_last(curve([0.5], [0.5]), "robust") is None
    assert best_last([], "clean") is None
