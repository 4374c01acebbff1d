"""Recipes as files: what is written is what is read, and a mistake is named."""

import json

import pytest

import lethe
from lethe.recipes import ANYTIME_RECIPES, TRAIN_RECIPES, load_recipe
from lethe.recipes._file import with_defaults

KNOWN = {**TRAIN_RECIPES, **ANYTIME_RECIPES}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("name", list(KNOWN))
def test_a_recipe_goes_into_a_file_and_comes_back_equal(name, tiny, tmp_path):
    for recipe in (KNOWN[name](), tiny(KNOWN[name])):
        path = write(tmp_path / "config.json", recipe.options())
        assert load_recipe(path, KNOWN) == recipe
        assert json.loads(path.read_text())["recipe"] == name


def test_where_a_run_goes_is_not_part_of_what_it_is(tiny, tmp_path):
    assert "out" not in tiny(TRAIN_RECIPES["sgd"], tmp_path / "x").options()["run"]


def test_options_that_a_file_leaves_out_are_the_defaults(tmp_path):
    path = write(tmp_path / "c.json", {"recipe": "fomo", "fomo": {"period": 7}})
    recipe = load_recipe(path, KNOWN)
    assert recipe.fomo.period == 7
    assert recipe.schedule == KNOWN["fomo"]().schedule


def test_what_a_section_leaves_out_is_the_recipes_own_default(tmp_path):
    recipe = load_recipe(
        write(tmp_path / "c.json", {"recipe": "trades", "robust": {"beta": 3.0}, "attack": {"steps": 7}}), KNOWN
    )
    assert (recipe.robust.objective, recipe.robust.beta) == ("trades", 3.0)
    assert (recipe.attack.steps, recipe.attack.channels_last) == (7, True)


@pytest.mark.parametrize("of_a_run", [True, False])
def test_a_run_that_was_made_before_there_was_a_choice_goes_on_as_it_was(tmp_path, of_a_run):
    options = json.loads(json.dumps(KNOWN["fomo"]().options()))
    del options["schedule"]["schedule"], options["fomo"]["stable_statistics"], options["compute"]
    if not of_a_run:
        del options["run"]  # by hand
    recipe = load_recipe(write(tmp_path / "config.json", options), KNOWN)
    found = recipe.schedule.schedule, recipe.fomo.stable_statistics, recipe.compute.precision
    assert found == (("piecewise", "average", "fp32") if of_a_run else ("constant", "recompute", "auto"))
    assert with_defaults(options, KNOWN)["schedule"]["schedule"] == found[0]


def test_a_whole_number_is_a_number(tmp_path):
    recipe = load_recipe(write(tmp_path / "c.json", {"recipe": "sgd", "sgd": {"lr": 1}}), KNOWN)
    assert (recipe.sgd.lr, type(recipe.sgd.lr)) == (1.0, float)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[1, 2]", "names no recipe: it needs an entry 'recipe'"),
        ({"sgd": {"lr": 0.1}}, "names no recipe"),
        ({"recipe": "fomoo"}, "Did you mean 'fomo'"),
        ({"recipe": 3}, "unknown recipe"),
        ({"recipe": "sgd", "shedule": {}}, "unknown option 'shedule'. Did you mean 'schedule'"),
        (
            {"recipe": "sgd", "schedule": {"epohcs": 3}},
            "schedule has an unknown option 'epohcs'. Did you mean 'epochs'",
        ),
        ({"recipe": "sgd", "schedule": 3}, "schedule must be a section with options, got 3"),
        ({"recipe": "sgd", "schedule": {"epochs": "3"}}, "epochs must be int, got '3'"),
        ({"recipe": "sgd", "schedule": {"epochs": 3.5}}, "epochs must be int, got 3.5"),
        ({"recipe": "sgd", "schedule": {"epochs": True}}, "epochs must be int, got True"),
        ({"recipe": "sgd", "schedule": {"epochs": None}}, "epochs must be int, got None"),
        ({"recipe": "sgd", "sgd": {"lr": "0.1"}}, "lr must be float, got '0.1'"),
        ({"recipe": "sgd", "sgd": {"nesterov": 1}}, "nesterov must be bool, got 1"),
        ({"recipe": "sgd", "data": {"train_size": "all"}}, "train_size must be int or null, got 'all'"),
        ({"recipe": "sgd", "schedule": {"milestones": 0.5}}, "milestones must be a list, got 0.5"),
        ({"recipe": "sgd", "schedule": {"milestones": ["x"]}}, "milestones must be float, got 'x'"),
        ({"recipe": "sgd", "schedule": {"epochs": 0}}, "epochs must be at least 1, got 0"),
        ({"recipe": "sgd", "data": {"label_noise": 2}}, "label_noise must lie in"),
        ('{"recipe": "sgd", "sgd": {"lr": NaN}}', "lr must be a finite number"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(tmp_path, content, message):
    with pytest.raises(lethe.LetheError, match=message) as error:
        load_recipe(write(tmp_path / "config.json", content), KNOWN)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_not_text_is_a_clear_error(tmp_path):
    with pytest.raises(lethe.LetheError, match="cannot be read: No such file"):
        load_recipe(tmp_path / "none.json", KNOWN)
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        load_recipe(tmp_path, KNOWN)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(lethe.LetheError, match="is not JSON"):
        load_recipe(tmp_path / "bytes.json", KNOWN)
