"""Won, lost or neither: said plainly, seed against the same seed."""

from lethe.report import verdict


def test_better_on_every_seed_wins(section):
    text = verdict(section({"SGD": [50.0, 60.0], "AMP": [51.0, 61.0]}), "SGD", "AMP")
    assert text == "AMP wins over SGD. Accuracy at the end: 56.0 % against 55.0 % (better on 2 of 2 seeds)."


def test_worse_on_every_seed_is_said_so(section):
    text = verdict(section({"SGD": [50.0, 60.0], "AMP": [40.0, 59.0]}), "SGD", "AMP")
    assert text.startswith("AMP does not win: it is worse than SGD.")
    assert "better on 0 of 2 seeds" in text


def test_a_mixed_outcome_or_a_tie_is_no_win(section):
    for mine in ([90.0, 59.0], [50.0, 60.0], [50.0, 90.0]):
        text = verdict(section({"SGD": [50.0, 60.0], "AMP": mine}), "SGD", "AMP")
        assert text.startswith("AMP does not clearly win over SGD.")


def test_where_lower_is_better_the_lower_wins(section):
    made = section({"ALMA": [100.0], "LURE": [90.0]}, higher_is_better=False, measure=("cumulative error", "images"))
    assert (
        verdict(made, "ALMA", "LURE") == "LURE wins over ALMA. Cumulative error: 90 images against 100 images (1 seed)."
    )
    assert verdict(made, "LURE", "ALMA").startswith("ALMA does not win")
