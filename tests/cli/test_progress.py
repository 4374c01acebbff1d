"""How a run shows itself, on a terminal and in a log."""

import io

import pytest
import torch
from rich.console import Console

from lethe.cli._live import LiveView, sparkline, watched
from lethe.cli._pace import Pace, peak_memory
from lethe.cli._progress import ProgressObserver, headline


def record(epoch, **more):
    return {"epoch": epoch, "train/loss": 0.5, "validation/clean": 0.75, "test/clean": 0.5, **more}


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: ``clock[0]`` is the time in seconds."""
    now = [1000.0]
    monkeypatch.setattr("lethe.cli._progress.time.monotonic", lambda: now[0])
    return now


def logged(clock, seconds_an_epoch, epochs, first=0, **more):
    """Lines of a log that is 60 columns wide."""
    console = Console(file=io.StringIO(), width=60)
    observer = ProgressObserver(console)
    observer.begin("sgd", epochs)
    observer.step(first)
    for epoch in range(first + 1, epochs + 1):
        clock[0] += seconds_an_epoch
        observer.step(epoch)
        observer.record(record(epoch, **more))
    observer.end("")
    return console.file.getvalue().splitlines()


def test_a_log_has_a_line_an_interval_with_the_time_left(clock):
    lines = logged(clock, 4.0, 10)
    assert [line.split("]")[0] for line in lines] == ["[1/10", "[4/10", "[7/10", "[10/10"]
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["36 s left", "24 s left", "12 s left", "0 s left"]
    assert "epoch 4, loss 0.500, val clean 75.0%" in lines[1]


def test_a_log_has_the_pace_of_training_without_its_evaluations(clock, monkeypatch):
    monkeypatch.setattr("lethe.cli._pace.peak_memory", lambda: 2_340_000_000)
    console = Console(file=io.StringIO(), width=60)
    observer = ProgressObserver(console)
    observer.begin("sgd", 3)
    observer.images(3000)
    observer.step(0)
    for epoch in range(3):
        for share in (0.25, 0.5, 0.75, 1.0):
            clock[0] += 0.5
            observer.step(epoch + share)
        clock[0] += 100.0  # the evaluation
        observer.record(record(epoch + 1, seconds=2.0))
    lines = console.file.getvalue().splitlines()[-3:]
    assert all("%, 1,500 images/s, 2.3 GB, " in line for line in lines)


def test_where_an_epoch_is_one_step_its_seconds_say_the_pace(clock, monkeypatch):
    monkeypatch.setattr("lethe.cli._pace.peak_memory", lambda: None)
    pace = Pace(images=12)
    assert str(pace) == ""
    pace.step(0)
    clock[0] += 9.0
    pace.step(1.0)
    assert str(pace) == ""
    pace.record(8.0)
    assert pace.images_per_second() == 1.5
    assert str(pace) == "1.5 images/s"


def test_without_a_number_of_images_there_is_no_pace():
    pace = Pace()
    pace.record(1.0)
    assert pace.images_per_second() is None


def test_the_peak_of_memory_holds_what_was_allocated():
    before = peak_memory()
    held = torch.ones(60_000_000)  # 240 MB, which are written to
    assert peak_memory() >= before
    assert peak_memory() > 4 * held.numel()
    assert peak_memory() < 1e12


def test_slow_epochs_have_a_line_each(clock):
    assert len(logged(clock, 60.0, 5)) == 5


def test_the_time_left_of_a_resumed_run_counts_from_where_it_resumed(clock):
    lines = logged(clock, 20.0, 10, first=6)
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["60 s left", "40 s left", "20 s left", "0 s left"]


def test_an_event_is_always_logged_and_a_long_line_stays_one(clock):
    lines = logged(clock, 0.1, 3, event="forgot [bold] 12 of 1,000 weights, and said much about it")
    assert len(lines) == 3
    assert all("forgot [bold] 12 of 1,000 weights" in line for line in lines)


def test_the_headline_names_the_numbers_that_one_watches():
    text = headline(
        record(3, **{"validation/robust": 0.5, "stable/validation/clean": 0.8, "stable/validation/robust": 0.6})
    )
    assert text == "epoch 3, loss 0.500, val clean 75.0%, robust 50.0%, stable val clean 80.0%, robust 60.0%"
    closing = {"megabatch": 2, "test/errors": 25, "test/clean": 0.75}
    assert headline(closing) == "megabatch 2: test error 25.0% (25 images)"


def test_a_terminal_shows_a_bar():
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    observer = ProgressObserver(console)
    observer.begin("sgd", 2)
    observer.images(100)
    observer.step(0.5)
    observer.step(1.0)
    observer.record(record(1))
    observer.record(record(1, event="forgot 12"))
    observer.end("")
    text = console.file.getvalue()
    assert "epoch 1.0/2" in text
    assert "images/s" in text
    assert " GB" in text
    assert "val clean 75.0%" in text
    assert "forgot 12" in text


def test_a_row_of_bars_goes_from_the_lowest_to_the_highest():
    assert sparkline([0.0, 0.4, 0.75, 1.0, 2.0]) == "▁▁▅██"
    assert sparkline([]) == ""


def test_the_view_draws_the_stable_models_robust_accuracy_where_there_is_one():
    robust = {"stable/test/robust": 0.1, "test/robust": 0.2, "test/clean": 0.3}
    assert watched(robust) == 0.1
    assert watched({"test/robust": 0.2, "test/clean": 0.3}) == 0.2
    assert watched({"test/clean": 0.3}) == 0.3
    assert watched({"train/loss": 1.0}) is None


def follow(console):
    epochs, weights = {"fomo": 2, "amp-seed0": 2, "amp-seed1": 2}, {"fomo": 4.0, "amp-seed0": 1.0, "amp-seed1": 1.0}
    with LiveView(console, epochs, weights, ["A heading."]) as view:
        view.step("fomo", 0.5)
        view.record("fomo", {"stable/test/robust": 0.625})
        view.record("amp-seed0", {"train/loss": 1.0})
        for name in view.epochs:
            view.finished(name, 1.5)
    return console.file.getvalue()


def test_the_live_view_is_drawn_on_a_terminal():
    text = follow(Console(file=io.StringIO(), force_terminal=True, width=100))
    for words in ("A heading.", "FOMO", "62.5%", "AMP (2 seeds)", "test accuracy"):
        assert words in text


def test_in_a_log_the_view_has_a_line_for_each_finished_run():
    lines = follow(Console(file=io.StringIO(), width=100)).splitlines()
    assert lines[0] == "A heading."
    assert [line.split()[0] for line in lines[1:]] == ["fomo", "amp-seed0", "amp-seed1"]
    assert all(line.endswith(" s left") for line in lines[1:])


def test_a_stream_of_unknown_length_says_so_and_which_megabatch_it_is_at(clock):
    console = Console(file=io.StringIO(), width=60)
    observer = ProgressObserver(console)
    observer.begin("lure", None)
    observer.step(0)
    observer.megabatch(3, None)
    clock[0] += 20.0
    observer.step(1)
    observer.record(record(1, megabatch=3))
    observer.record({"megabatch": 3, "test/errors": 25, "test/clean": 0.75})
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("[1/?, no end known] megabatch 3 of ?, epoch 1, loss 0.500")
    assert lines[1].startswith("[1/?, no end known] megabatch 3: test error 25.0% (25 images)")
    assert "left" not in lines[0]


@pytest.mark.parametrize("epochs", [None, 8])
def test_a_terminal_shows_which_megabatch_is_learnt(epochs):
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    observer = ProgressObserver(console)
    observer.begin("lure", epochs)
    observer.megabatch(2, None if epochs is None else 4)
    observer.step(1.5)
    observer.end("")
    text = console.file.getvalue()
    assert ("megabatch 2 of ?, epoch 1.5" in text) == (epochs is None)
    assert ("megabatch 2 of 4, epoch 1.5/8" in text) == (epochs is not None)
    assert ("no end known" in text) == (epochs is None)
