"""A process that has imported Lethe and forks one child a command: real processes for SIGKILL, without the import.

It reads a line of JSON for each command and answers with one. What it is asked:

``words``: of the command line.
``kill``: None; ``{"file": path, "changes": n, "seconds": s}``: so long after the file has changed n times, by SIGKILL
or by signal ``"number"``; or ``{"in": place, "call": n, "at": "begin" | "half" | "end"}``: in the n-th call of what is
done there.
``limit``: None; or ``{"in": place, "call": n, "bytes": b}``: from then on no file can grow beyond b bytes.

What it answers: ``status`` (-9: killed), ``where`` the child was (one of PLACES), ``output``, ``errors``, ``seconds``.
"""

import functools
import json
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

PLACES = ("starting", "training", "attack", "forgetting", "evaluating", "saving", "writing")
where = mmap.mmap(-1, 1)  # shared with the children, and still there when they are not


def main():
    warm_up()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
    os._exit(0)  # taking all that was imported apart takes seconds


def warm_up():
    """Import what a command imports, and nothing that starts a thread: a fork would lose it."""
    import torch
    import torch._dynamo  # which the first optimizer would import

    from lethe.cli import _anytime, _train  # noqa: F401
    from lethe.data import DataConfig, load

    torch.set_num_threads(1)
    load(DataConfig())


def run(asked):
    started = time.monotonic()
    pipes = os.pipe(), os.pipe()
    where[0] = 0
    child = os.fork()
    if child == 0:
        for number, (_, end) in enumerate(pipes, 1):
            os.dup2(end, number)
        os._exit(work(asked))
    for _, end in pipes:
        os.close(end)
    kill = asked["kill"] or {}
    if "file" in kill:
        status = kill_later(child, **kill)
    else:
        _, status = os.waitpid(child, 0)
    output, errors = (read(begin) for begin, _ in pipes)
    answer = {"status": os.waitstatus_to_exitcode(status), "where": PLACES[where[0]], "output": output}
    return {**answer, "errors": errors, "seconds": time.monotonic() - started}


def read(end):
    with os.fdopen(end) as pipe:
        return pipe.read()


def kill_later(child, file, changes, seconds, number=signal.SIGKILL):
    def stamp():
        try:
            return Path(file).stat().st_mtime_ns
        except FileNotFoundError:
            return None

    last = stamp()
    while changes:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if (now := stamp()) != last:
            last, changes = now, changes - 1
        time.sleep(0.0005)
    time.sleep(seconds)
    os.kill(child, number)  # nobody else waits for it: it is the child, or what is left of it
    return os.waitpid(child, 0)[1]


def work(asked):
    """In the child: run the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would ignore
    try:
        watch(asked["kill"], asked["limit"])
        from lethe.cli import main as lethe

        status = lethe(asked["words"])
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 99
    else:
        return status


def watch(kill, limit):
    """Note where the process is, and do there what was asked for."""
    from lethe.attacks import PGD
    from lethe.engine import _checkpoint, _run, _run_directory, _run_stream
    from lethe.methods import _fomo, _lure

    for owner, name, place in (
        (PGD, "__call__", "attack"),
        (_fomo, "reinitialize", "forgetting"),
        (_lure, "reinitialize", "forgetting"),
        (_run, "measure", "evaluating"),
        (_run_stream, "accuracy", "evaluating"),
        (_run, "train_epoch", "training"),
        (_run_stream, "train_epoch", "training"),
        (_checkpoint, "write_file", "saving"),
        (_run_directory, "write_file", "writing"),
        (_run_directory, "append_line", "writing"),
    ):
        setattr(owner, name, watched(getattr(owner, name), place, kill, limit))


calls = dict.fromkeys(PLACES, 0)


def watched(function, place, kill, limit):
    @functools.wraps(function)
    def call(*arguments, **options):
        before, where[0] = where[0], PLACES.index(place)
        calls[place] += 1
        if limit is not None and (limit["in"], limit["call"]) == (place, calls[place]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit["bytes"], resource.RLIM_INFINITY))
        at = kill["at"] if kill and (kill.get("in"), kill.get("call")) == (place, calls[place]) else None
        if at == "half":
            path, write = arguments
            arguments = path, functools.partial(half, write)
        elif at == "begin":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if at == "end":
            os.kill(os.getpid(), signal.SIGKILL)
        where[0] = before
        return result

    return call


def half(write, file):
    """Write as asked, and die when half of it is on the disk."""
    write(file)
    file.flush()
    os.truncate(file.fileno(), Path(file.name).stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
