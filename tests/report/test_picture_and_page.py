"""The picture is a picture, and the page needs nothing beside it."""

import base64
import io
import itertools
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from lethe.report import draw, page
from lethe.report._curves import _colours


class Page(HTMLParser):
    """Collects tags, what they refer to, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [v for k, v in attributes if k in ("src", "href", "srcset", "data", "action", "background")]

    def handle_data(self, data):
        self.words.append(data)


def test_the_picture_is_a_png_with_a_panel_for_each_section(section):
    made = section({"SGD": [50.0, 40.0], "AMP": [51.0, 49.0]})
    one, two = (imread(io.BytesIO(draw([made] * count)), format="png") for count in (1, 2))
    assert one.shape[0] == two.shape[0] > 300
    assert two.shape[1] == pytest.approx(2 * one.shape[1], abs=2)
    assert one[..., :3].min() < 0.9  # something is drawn
    assert one[..., :3].max() == 1.0


def test_a_single_seed_and_many_curves_can_be_drawn(section):
    picture = draw([section({f"method {i}": [float(i)] for i in range(9)})])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_methods_two_models_have_one_colour_and_a_broken_line_of_it(section, monkeypatch):
    drawn = []

    def plot(self, *values, **how):
        drawn.append((how.get("color"), values[2]))
        return original(self, *values, **how)

    original = Axes.plot
    monkeypatch.setattr(Axes, "plot", plot)
    rows = ("AT", "FOMO, stable model", "FOMO, working model", "EMA, stable model", "EMA, working model")
    draw([section({row: [50.0, 51.0] for row in rows})])
    colours, styles = zip(*drawn, strict=True)
    assert styles == ("-", "-", "--", "-", "--")
    assert (colours[1], colours[3]) == (colours[2], colours[4])
    assert len(set(colours)) == 3


@pytest.mark.parametrize("count", [10, 11, 40])
def test_no_two_curves_of_a_picture_look_alike(count):
    colours = [tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for colour in _colours(count)]
    assert len(colours) == count
    apart = min(max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in itertools.combinations(colours, 2))
    assert apart >= 10  # of 255, in one of red, green and blue


def test_the_page_needs_nothing_beside_it(section):
    made = [section({"SGD": [50.0], "AMP": [51.0]})]
    picture = draw(made)
    text = page("Report", made, picture, ["An introduction."])
    found = Page(text)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(found.tags)
    assert all(reference.startswith("data:") for reference in found.references)
    assert "url(" not in text
    assert "@import" not in text
    (image,) = found.references
    assert base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True) == picture
    for word in ("Report", "An introduction.", "Accuracy, %", "SGD", "51.0", "a note."):
        assert word in found.words


def test_text_cannot_become_markup(section):
    nasty = "<script>alert('1')</script> & \"quotes\""
    made = [section({nasty: [50.0]}, notes=(nasty,))]
    found = Page(page(nasty, made, draw([section({"SGD": [1.0]})]), [nasty]))
    assert "script" not in found.tags
    assert found.words.count(nasty) == 5  # title, heading, introduction, row, note


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH to open the page with")
def test_a_real_browser_shows_the_page(section, tmp_path):
    made = [section({"SGD": [50.0], "AMP": [51.0]})]
    (tmp_path / "report.html").write_text(page("Report", made, draw(made)))
    screenshot = tmp_path / "screenshot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,900"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={screenshot}"]
    address = (tmp_path / "report.html").as_uri()
    subprocess.run(["chromium", *options, address], check=True, capture_output=True, timeout=120)
    pixels = imread(screenshot)
    assert pixels.shape[:2] == (900, 1000)
    assert pixels[..., :3].std() > 0.02  # not blank
