"""`lethe demo`: the first thing anyone runs."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from lethe._check import LetheError, nearest
from lethe._files import write_bytes
from lethe.cli._live import LiveView
from lethe.cli._options import take
from lethe.data import load
from lethe.engine import Observer, RunDirectory
from lethe.recipes import Recipe
from lethe.recipes._demo import DemoRun, demo_runs
from lethe.report import (
    LABELS,
    Section,
    draw,
    group_runs,
    markdown,
    page,
    print_sections,
    provenance,
    sections,
    verdict,
)

USAGE = """usage: lethe demo [--out FOLDER]

Trains a method against its baseline, three times, on scikit-learn's handwritten digits with corrupted labels:
FOMO against adversarial training (AT), AMP against SGD, LURE against warm start (ALMA). Nothing is stored: what you
see is trained in front of you, with fixed seeds. Under a minute on two cores.

--out FOLDER: where everything goes (default runs/demo; an earlier runs/demo is kept as runs/demo-1, -2, ...)."""

PAIRS = (("AT", "FOMO, stable model"), ("SGD", "AMP"), ("ALMA (warm start)", "LURE"))
ORDER = ("at", "fomo", "sgd", "amp", "alma", "lure")

_events: Queue[tuple[str, str, Any]]


class _Reporter(Observer):
    """Sends what happens in a worker to the process that shows it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def step(self, epochs: float) -> None:
        _events.put(("step", self.name, epochs))

    def record(self, record: dict[str, Any]) -> None:
        _events.put(("record", self.name, record))


def _begin_worker(events: Queue[tuple[str, str, Any]]) -> None:
    global _events
    _events = events
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers
    torch.set_num_threads(1)  # these networks are too small to share among cores; whole runs are not


def _work(run: DemoRun) -> None:
    started = time.monotonic()
    run.recipe.execute(observer=_Reporter(run.name))
    _events.put(("finished", run.name, time.monotonic() - started))


def command(words: list[str]) -> int:
    """Train, show, and write the table and the picture."""
    if words and words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    asked = take(words, "--out")
    if words:
        raise LetheError(f"unknown option {words[0]!r}.{nearest(words[0], ['--out'])} lethe demo takes --out alone.")
    started, console = time.monotonic(), Console()
    folder = _make_folder(asked, console)
    runs = [replace(run, recipe=_placed(run.recipe, folder / run.name)) for run in demo_runs()]
    heading = _heading(runs)
    shown = sorted(runs, key=lambda run: ORDER.index(run.recipe.name))
    epochs = {run.name: _epochs(run.recipe) for run in shown}
    with LiveView(console, epochs, {run.name: run.weight for run in shown}, heading) as view:
        _run_all(runs, view)
    # Each recipe is there in one setting: its name says enough, though FOMO's learning rate is another one than AT's.
    groups = group_runs([RunDirectory.open(folder / run.name) for run in shown])
    groups = [replace(group, name=LABELS[group.recipe]) for group in groups]
    made = sections(groups)
    outcomes = [verdict(section, *pair) for section, pair in zip(made, PAIRS, strict=True)]
    print_sections(made, console)
    console.print(*outcomes, sep="\n", markup=False, highlight=False)
    _write(folder, made, [*heading, *outcomes], provenance(groups))
    seconds = time.monotonic() - started
    console.print(
        f"\n{seconds:.0f} s. Written: {folder}/curves.png, report.html, table.md, and each run.", soft_wrap=True
    )
    return 0


def _make_folder(asked: str | None, console: Console) -> Path:
    folder = Path(asked or "runs/demo")
    if folder.exists():
        if asked is not None:
            raise LetheError(f"the folder {asked!r} exists: choose another --out, or move it away.")
        number = 1
        while (kept := folder.with_name(f"demo-{number}")).exists():
            number += 1
        folder.rename(kept)
        console.print(f"The earlier {folder} is now {kept}.", soft_wrap=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise LetheError(f"the folder {str(folder)!r} cannot be made: {error.strerror}.") from error
    return folder


def _placed(recipe: Recipe, out: Path) -> Recipe:
    # The CPU everywhere: these networks are too small for a GPU, and the same numbers come out on any machine's CPU
    # of a kind.
    return replace(recipe, run=replace(recipe.run, out=str(out), device="cpu"))


def _epochs(recipe: Recipe) -> int:
    arrivals = recipe.stream.megabatches if hasattr(recipe, "stream") else 1
    return int(recipe.schedule.epochs * arrivals)


def _heading(runs: list[DemoRun]) -> list[str]:
    by_name = {run.recipe.name: run.recipe for run in runs}
    lines = ["Lethe demo: handwritten digits (scikit-learn, 8x8), real images, trained here and now."]
    for names, recipe in (("AT, FOMO", by_name["at"]), ("SGD, AMP", by_name["sgd"]), ("ALMA, LURE", by_name["alma"])):
        data = recipe.data
        lines.append(
            f"{names}: {load(data)} ({data.label_noise:.0%} of them, on purpose), split seed {data.split_seed}."
        )
    lines.append("FOMO is at its defaults, a constant learning rate among them; the rate of the others falls.")
    seeds = sorted({run.recipe.run.seed for run in runs if run.recipe.name == "sgd"})
    lines.append(f"Seeds: AT and FOMO {runs[0].recipe.run.seed}; the others {', '.join(map(str, seeds))}.")
    return lines


def _run_all(runs: list[DemoRun], view: LiveView) -> None:
    context = multiprocessing.get_context("spawn")
    events: Queue[tuple[str, str, Any]] = context.Queue()
    workers = min(os.cpu_count() or 1, 4)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(events,))
    try:
        futures = [pool.submit(_work, run) for run in runs]
        waiting = len(runs)
        while waiting:
            try:
                kind, name, what = events.get(timeout=0.2)
            except queue.Empty:
                for future in futures:
                    if future.done():
                        future.result()  # raises what a worker raised
                continue
            if kind == "finished":
                waiting -= 1
            getattr(view, kind)(name, what)
        pool.shutdown()
    except BaseException:
        for process in list(getattr(pool, "_processes", {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _write(folder: Path, made: list[Section], introduction: list[str], sources: list[str]) -> None:
    picture = draw([replace(section, more=[]) for section in made])  # a panel a pair; what it costs is not the point
    table = "\n\n".join(introduction) + "\n\n" + markdown(made, sources)
    write_bytes(folder / "curves.png", picture)
    write_bytes(folder / "report.html", page("Lethe demo", made, picture, introduction, sources).encode())
    write_bytes(folder / "table.md", table.encode())
