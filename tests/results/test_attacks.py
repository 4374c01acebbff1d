"""The table under stronger attacks, of evaluations written by hand."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "results/fomo-small/attacks.py"


def evaluated(folder, name, checkpoint, accuracy):
    """What ``lethe evaluate`` writes of one network, as far as the table reads it."""
    path = folder / name / "evaluations" / f"{checkpoint}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"checkpoint": checkpoint, "images": 200, "part": "test"}
    path.write_text(json.dumps({"about": about, "robust accuracy": accuracy}))


def test_rows_have_spread_gap_and_fomos_paired_lead(tmp_path):
    for seed, (ours, theirs) in enumerate([(0.26, 0.10), (0.25, 0.11), (0.27, 0.09)]):
        evaluated(tmp_path, f"fomo-seed{seed}", "best-stable", {"PGD-20": 0.25, "AutoAttack": 0.20})
        evaluated(tmp_path, f"fomo-seed{seed}", "last-stable", {"PGD-20": ours})
        evaluated(tmp_path, f"at-ema-seed{seed}", "best", {"PGD-20": 0.20})
        evaluated(tmp_path, f"at-ema-seed{seed}", "last", {"PGD-20": theirs})
    runs = sorted(tmp_path.iterdir())
    table = subprocess.run([sys.executable, SCRIPT, *runs], check=True, capture_output=True, text=True).stdout
    assert "on the first 200 test images" in table
    fomo, at = [line for line in table.splitlines() if line.startswith(("| fomo", "| at-ema"))]
    # Under AutoAttack no seed has both a best and a last.
    assert fomo == "| fomo | stable | 25.0 ± 0.0 | 26.0 ± 1.0 | -1.0 ± 1.0 | 3 |  | - | - | - | 0 |  |"
    # Leads 16, 14, 18: mean 16, deviation 2, half 4.3027 · 2 / sqrt(3) = 4.968.
    assert (
        at
        == "| at-ema | working | 20.0 ± 0.0 | 10.0 ± 1.0 | 10.0 ± 1.0 | 3 | +16.0 (+11.0 to +21.0) | - | - | - | 0 |  |"
    )
