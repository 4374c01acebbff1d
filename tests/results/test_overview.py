"""The study's tables of runs written by hand; and the README, which repeats them."""

import subprocess

import pytest


def test_a_row_has_every_attack_from_best_to_last_and_fomos_paired_lead(finished, script, tmp_path):
    for seed, (ours, theirs) in enumerate([(0.26, 0.10), (0.25, 0.11), (0.27, 0.09)]):
        best, last = {"AutoAttack": 0.20}, {"AutoAttack": 0.24}
        fomo = finished(f"fomo-seed{seed}", (0.5, 0.25, ours), best_stable=best, last_stable=last)
        finished(f"at-swa-seed{seed}", (0.5, 0.2, theirs), (0.1, 0.2, 0.3), best_stable={"AutoAttack": 0.15})
    (fomo / "evaluations" / "last-stable-test200-linf.json").unlink()
    lines = script("overview.py", "main", tmp_path)
    assert [line for line in lines if line.startswith("| ")][1:] == [
        # Its end is 1, 0 and 2 above its own best.
        "| **FOMO** | 25.0 → 26.0 | - | 20.0 → 24.0 | 40.0 |  |  | +1.0 (-1.5 to +3.5) |  | 3, 0, 2 |",
        # At its end 16, 14, 18 more: mean 16, deviation 2, half 4.3027 · 2 / sqrt(3) = 4.968; than its best 6, 5, 7.
        "| AT, averaged evenly (SWA) | 20.0 → 10.0 | - | - | 30.0 "
        "| +16.0 (+11.0 to +21.0) |  | +6.0 (+3.5 to +8.5) |  | 3, 0, 0 |",
    ]


def test_working_models_are_compared_with_fomos_working_model(finished, script, tmp_path):
    for seed, (ours, theirs) in enumerate([(0.26, 0.10), (0.25, 0.11), (0.27, 0.09)]):
        finished(f"fomo-seed{seed}", (0.5, 0.25, ours), prefix="", last={"AutoAttack": 0.2}, best={"AutoAttack": 0.3})
        finished(f"snip-seed{seed}", (0.5, 0.2, theirs), prefix="")
        finished(f"magnitude-seed{seed}", (0.5, 0.2, 0.2))  # of which there is the stable model alone
        finished(f"at-swa-seed{seed}", (0.5, 0.2, 0.2), prefix="")  # no part of FOMO
    assert [line for line in script("overview.py", "working", tmp_path) if line.startswith("| ")][1:] == [
        "| **FOMO** | 25.0 → 26.0 | - | 30.0 → 20.0 | 40.0 |  |  | 3, 0, 3 |",
        "| the least of SNIP forgotten | 20.0 → 10.0 | - | - | 40.0 | +16.0 (+11.0 to +21.0) |  | 3, 0, 0 |",
    ]


def test_unfinished_runs_count_nowhere(finished, script, tmp_path):
    for seed in range(4):
        run = finished(f"fomo-seed{seed}", (0.5, 0.25, 0.2))
    (run / "summary.json").unlink()
    (row,) = [line for line in script("overview.py", "main", tmp_path) if line.startswith("| ")][1:]
    assert row.startswith("| **FOMO** | 25.0 → 20.0 |")
    assert row.endswith("| 3, 0, 0 |")


def test_the_same_attack_in_two_files_is_an_error(finished, script, tmp_path):
    run = finished("fomo-seed0", (0.5, 0.25, 0.3), last_stable={"AutoAttack": 0.2})
    first = run / "evaluations" / "last-stable-test200-linf.json"
    first.with_stem("last-stable-test200-of-another-radius").write_text(first.read_text())
    with pytest.raises(subprocess.CalledProcessError) as failed:
        script("overview.py", "main", tmp_path)
    assert "AutoAttack of this checkpoint is in another file, too" in failed.value.stderr


def test_clean_accuracy_is_at_the_epoch_that_robust_accuracy_chose(finished, script, tmp_path):
    for seed, clean in enumerate([0.40, 0.42, 0.44]):
        finished(f"fomo-seed{seed}", (0.5, 0.3, 0.3), (0.1, 0.2, clean))
        finished(f"sgd-seed{seed}", (0.5, 0.3, 0.3), (0.9, 0.3, 0.5), prefix="")
        finished(f"fomo-other-images-seed{seed}", (0.5, 0.3, 0.3))  # has a table of its own
    assert [line for line in script("clean.py", tmp_path) if line.startswith("| ")][1:] == [
        "| fomo | stable | 20.0 | 42.0 | +22.0 (+17.0 to +27.0) |  | 3 |",
        "| sgd | working | 30.0 | 50.0 | +12.0 (+7.0 to +17.0) | -8.0 (-13.0 to -3.0) | 3 |",
    ]
    (row,) = [line for line in script("other_images.py", tmp_path) if line.startswith("| ")][1:]
    assert row == "| fomo | stable | 30.0 ± 0.0 | 30.0 ± 0.0 | 0.0 ± 0.0 | 40.0 ± 0.0 |  |  | 3 |"


@pytest.mark.parametrize("protocol", ["16px", "32px"])
@pytest.mark.parametrize("table", ["overview.md", "parts/overview.md"])
def test_the_readme_repeats_the_tables_as_they_were_made(protocol, table, study):
    rows = [line for line in (study / protocol / table).read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 6
    readme = set((study / "README.md").read_text().splitlines())
    assert [row for row in rows if row not in readme] == []
