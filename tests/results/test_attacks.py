"""The table under stronger attacks, of evaluations written by hand."""


def test_rows_have_spread_gap_and_fomos_paired_lead(finished, script, tmp_path):
    for seed, (ours, theirs) in enumerate([(0.26, 0.10), (0.25, 0.11), (0.27, 0.09)]):
        best = {"PGD-20": 0.25, "AutoAttack": 0.20}
        finished(f"fomo-seed{seed}", (0.5, 0.4, 0.3), best_stable=best, last_stable={"PGD-20": ours})
        finished(f"at-ema-seed{seed}", (0.5, 0.4, 0.3), prefix="", best={"PGD-20": 0.2}, last={"PGD-20": theirs})
        finished(f"sgd-seed{seed}", (0.5, 0.4, 0.3), prefix="")  # under neither attack: no row
    table = script("attacks.py", *tmp_path.iterdir())
    assert "on the first 200 test images" in table[0]
    assert [line for line in table if line.startswith("| ")][1:] == [
        # Under AutoAttack no seed has both a best and a last.
        "| fomo | stable | 25.0 ± 0.0 | 26.0 ± 1.0 | -1.0 ± 1.0 | 3 |  | - | - | - | 0 |  |",
        # Leads 16, 14, 18: mean 16, deviation 2, half 4.3027 · 2 / sqrt(3) = 4.968.
        "| at-ema | working | 20.0 ± 0.0 | 10.0 ± 1.0 | 10.0 ± 1.0 | 3 | +16.0 (+11.0 to +21.0) | - | - | - | 0 |  |",
    ]
