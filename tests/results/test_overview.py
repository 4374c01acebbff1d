"""The study's table of all attacks, of runs written by hand; and the README, which repeats it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "results" / "fomo-small"


def trained(folder, name, accuracies, clean, stronger=None):
    """A finished run of three evaluated epochs, the second of which validation images choose.

    ``accuracies`` are robust and ``clean`` clean ones on test images, of the stable model; ``stronger`` AutoAttack's at
    the best and the last.
    """
    run = folder / name
    (run / "evaluations").mkdir(parents=True)
    for file in ("config", "summary"):
        (run / f"{file}.json").write_text("{}")
    lines = []
    for epoch, (validation, robust, right) in enumerate(zip((0.2, 0.4, 0.3), accuracies, clean, strict=True), start=1):
        measured = {"stable/validation/robust": validation, "stable/test/robust": robust, "stable/test/clean": right}
        lines.append(json.dumps({"epoch": epoch, **measured}) + "\n")
    (run / "metrics.jsonl").write_text("".join(lines))
    for checkpoint, accuracy in zip(("best", "last"), stronger or (), strict=False):
        path = run / "evaluations" / f"{checkpoint}-stable-test200-linf.json"
        path.write_text(json.dumps({"robust accuracy": {"AutoAttack": accuracy}}))


def table(name, runs):
    done = subprocess.run([sys.executable, STUDY / "overview.py", name, runs], check=True, capture_output=True)
    return done.stdout.decode().splitlines()


def test_a_row_has_every_attack_from_best_to_last_and_fomos_paired_lead(tmp_path):
    for seed, (ours, theirs) in enumerate([(0.26, 0.10), (0.25, 0.11), (0.27, 0.09)]):
        trained(tmp_path, f"fomo-seed{seed}", (0.5, 0.25, ours), (0.1, 0.2, 0.4), (0.20, 0.24))
        trained(tmp_path, f"at-swa-seed{seed}", (0.5, 0.20, theirs), (0.1, 0.2, 0.3), (0.15,))
    (tmp_path / "fomo-seed2" / "evaluations" / "last-stable-test200-linf.json").unlink()
    lines = table("main", tmp_path)
    assert [line for line in lines if line.startswith("| **FOMO**")] == [
        "| **FOMO** | 25.0 → 26.0 | - | 20.0 → 24.0 | 40.0 |  |  |  |  | 3, 0, 2 |"
    ]
    # At its end 16, 14, 18 more: mean 16, deviation 2, half 4.3027 · 2 / sqrt(3) = 4.968; than its best 6, 5, 7.
    assert [line for line in lines if "SWA" in line] == [
        "| AT, averaged evenly (SWA) | 20.0 → 10.0 | - | - | 30.0 "
        "| +16.0 (+11.0 to +21.0) |  | +6.0 (+3.5 to +8.5) |  | 3, 0, 0 |"
    ]
    assert len([line for line in lines if line.startswith("|")]) == 4  # the head, and these two rows


def test_the_same_attack_in_two_files_is_an_error(tmp_path):
    trained(tmp_path, "fomo-seed0", (0.5, 0.25, 0.3), (0.1, 0.2, 0.4), (0.2, 0.2))
    twice = tmp_path / "fomo-seed0" / "evaluations" / "last-stable-test200-of-another-radius.json"
    twice.write_text(json.dumps({"robust accuracy": {"AutoAttack": 0.1}}))
    done = subprocess.run([sys.executable, STUDY / "overview.py", "main", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "AutoAttack of this checkpoint is in another file, too" in done.stderr


@pytest.mark.parametrize("protocol", ["16px", "32px"])
@pytest.mark.parametrize("table", ["overview.md", "parts/overview.md"])
def test_the_readme_repeats_the_tables_as_they_were_made(protocol, table):
    rows = [line for line in (STUDY / protocol / table).read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 6
    readme = set((STUDY / "README.md").read_text().splitlines())
    assert [row for row in rows if row not in readme] == []
