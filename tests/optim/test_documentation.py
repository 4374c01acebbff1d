"""The table of rules in the documentation is the registry's."""

from pathlib import Path

from lethe.optim import RULES

PAGE = Path(__file__).parents[2] / "docs" / "optimizers.md"


def test_the_table_is_the_registrys():
    rows = [
        f"| {name} | {r.cost} | {r.memory} | {r.ball} | {r.needs or 'nothing more'} | {r.source} |"
        for name, r in RULES.items()
    ]
    table = PAGE.read_text().split("lethe.optim.RULES -->\n")[1].split("\n<!-- end -->")[0]
    assert table.splitlines()[2:] == rows
