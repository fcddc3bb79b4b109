# SPDX-License-Identifier: Apache-2.0
"""Workers that are killed, slow, stuck, raise, or are started while locks are held: a clear message, no hang, and nobody left behind.

Twenty repetitions of what can go wrong with processes: python tests/training/test_data_workers.py 20
"""

import contextlib
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.training.data import as_data, closing, prefetch
from tests.training import data_workers
from tests.training.data_workers import Numbered
from tests.training.tools import warned

SCRIPT = pathlib.Path(data_workers.__file__)


@contextlib.contextmanager
def nobody_left():
    """Threads and processes are as many after the block as before it."""
    threads = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 10
    while (set(threading.enumerate()) - threads or multiprocessing.active_children()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - threads
    assert not multiprocessing.active_children()


@pytest.fixture(autouse=True)
def checked():
    with nobody_left():
        yield


def epoch_of(data):
    with closing(data.batches()) as made:
        return [batch[0][0].tolist() for batch in made]


def processes(**kwargs):
    return Numbered(use_multiprocessing=True, **{"workers": 2, **kwargs})


def test_threads_give_batches_in_order_and_share_the_data_set():
    data = as_data(Numbered(workers=3, number=20))
    assert [row[:2] for row in epoch_of(data)] == [[i, 0] for i in range(20)]
    assert [row[:2] for row in epoch_of(data)] == [[i, 1] for i in range(20)]
    data.close()


def test_processes_give_batches_in_order_and_hear_of_epochs():
    data = as_data(processes())
    with closing(data):
        first, second = epoch_of(data), epoch_of(data)
    assert [row[:2] for row in first] == [[i, 0] for i in range(6)]
    assert [row[:2] for row in second] == [[i, 1] for i in range(6)]
    makers = {row[2] for row in first}
    assert makers == {row[2] for row in second} and os.getpid() % 10007 not in makers


def test_fit_with_processes(eager):
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
    model.compile(nyala.optimizers.SGD(0.0), "mse")
    model.fit(Numbered(), workers=1, use_multiprocessing=True, epochs=2, verbose=0)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_thread_that_raises(workers):
    data = as_data(Numbered(workers=workers, mishap="raises"))
    with pytest.raises(ShapeError, match=r"^file 3 needs three channels, got four\.") as info, closing(data):
        epoch_of(data)
    assert any(entry.name == "raise_known" for entry in info.traceback)
    if workers > 1:
        assert re.match(r"while the worker thread nyala-data-\d made batch 3 of Numbered$", info.value.__notes__[0])


def fails(mishap):
    data = as_data(processes(mishap=mishap))
    with pytest.raises(BaseException) as info, closing(data):
        epoch_of(data)
    return info.value


def check_raises():
    error = fails("raises")
    assert type(error) is ShapeError and error.need == "three channels"
    assert re.match(r"in worker process \d \(pid \d+\), which made batch 3 of Numbered:\nTraceback(.|\n)*in raise_known", error.__notes__[0])


def check_raises_its_own():
    error = fails("raises its own")
    assert type(error) is RuntimeError and str(error) == "OfOwn: 1 and 2" and "in raise_own" in error.__notes__[0]


def check_exits():
    error = fails("exits")
    assert type(error) is SystemExit and error.code == 4


def check_is_killed():
    error = fails("is killed")
    code = -signal.SIGKILL if hasattr(signal, "SIGKILL") else r"\d+"
    pattern = rf"Numbered with use_multiprocessing=True needs workers that live, got exit code {code} of worker process \d \(pid \d+\) while it made "
    assert type(error) is StateError and re.match(pattern + r"batch [13]\.", str(error))
    assert str(error).endswith("fix: use fewer workers, a smaller max_queue_size or threads")


def check_leaves():
    assert "got exit code 7 of worker process" in str(fails("leaves"))


CHECKS = [check_raises, check_raises_its_own, check_exits, check_is_killed, check_leaves]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_a_process_that(check):
    check()


def test_a_process_that_is_silent_says_where_it_stands(monkeypatch):
    texts = []

    def hear(text, *args, **kwargs):
        texts.append(text)
        if "here it hangs" in text:
            for process in multiprocessing.active_children():
                process.kill()

    monkeypatch.setattr(prefetch, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(prefetch.warnings, "warn", hear)
    data = as_data(processes(mishap="hangs"))
    with closing(data), pytest.raises(StateError, match="needs workers that live"):
        epoch_of(data)
    pattern = r"^Numbered gave no batch for \d+ s.*worker process \d \(pid \d+\), at batch 3 for \d+ s:.*here it hangs"
    assert any(re.search(pattern, text, re.DOTALL) for text in texts), texts


def test_a_thread_that_is_silent_says_where_it_stands(monkeypatch):
    monkeypatch.setattr(prefetch, "SILENCE_SECONDS", 0.1)
    data = as_data(Numbered(workers=2, mishap="is slow"))
    with warned(r"worker thread nyala-data-\d, at batch 3 for \d+ s:.*is slow"), closing(data):
        epoch_of(data)


def check_leaving():
    """A reader that leaves in the middle, with a worker that never ends its batch."""
    data = as_data(processes(mishap="hangs"))
    with closing(data), closing(data.batches()) as made:
        next(made)


def test_leaving_while_a_process_hangs():
    began = time.monotonic()
    check_leaving()
    assert time.monotonic() - began < 300  # it would hang for 600 s


@pytest.mark.filterwarnings("ignore:.*a thread is still busy:RuntimeWarning")
@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}], ids=str)
def test_leaving_in_the_middle_of_a_slow_batch(options, monkeypatch):
    """The error that ended training stays the error, and all workers end once the batch is made."""
    monkeypatch.setattr(prefetch, "CLOSE_SECONDS", 0.2)
    release, begun = threading.Event(), threading.Event()

    class Slow(Numbered):
        def __getitem__(self, index):
            if index > 0:
                begun.set()
                assert release.wait(60)
            return super().__getitem__(index)

    slow = not options.get("use_multiprocessing")
    data = as_data(Slow(**options) if slow else Numbered(mishap="hangs", **options))
    with pytest.raises(KeyboardInterrupt), closing(data), closing(data.batches()) as made:
        next(made)
        if slow:
            assert begun.wait(60)
        else:
            next(made), next(made)  # the reader goes on to the batch that hangs
        time.sleep(0.2)
        raise KeyboardInterrupt
    release.set()


def test_locks_that_other_threads_hold_do_not_matter():
    """A forked worker would wait for ever for a lock that was held at the time: of logging, of an allocator, of the program itself."""
    import logging

    release = threading.Event()

    def hold():
        with logging._lock, data_workers_lock:
            release.wait(60)

    data_workers_lock = threading.RLock()
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        data = as_data(processes(workers=1))
        with closing(data):
            assert len(epoch_of(data)) == 6
    finally:
        release.set()
        thread.join()


def test_data_sets_and_batches_that_cannot_be_sent():
    data = as_data(data_workers.NotToBePacked(use_multiprocessing=True))
    with pytest.raises(ArgumentError) as info, closing(data):
        epoch_of(data)
    assert str(info.value) == (
        "NotToBePacked with use_multiprocessing=True needs a data set that can be pickled, since each process gets a copy, "
        "got TypeError: cannot pickle '_thread.lock' object.\n"
        "  fix: open files and make locks in __getitem__, leave out lambdas, or use threads (use_multiprocessing=False)"
    )
    data = as_data(data_workers.GivesWhatCannotBePacked(use_multiprocessing=True))
    with pytest.raises(Exception, match="lambda") as info, closing(data):
        epoch_of(data)
    assert "which made batch 0 of GivesWhatCannotBePacked" in info.value.__notes__[0]


def is_alive(pid):
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").is_dir(), reason="children of a process are read from /proc")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_workers_end_with_the_program(name):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    program = subprocess.Popen([sys.executable, str(SCRIPT), "2"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline().startswith("batch"), program.communicate(timeout=300)
    children = [int(pid) for pid in pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()]
    children += [
        int(pid)
        for task in pathlib.Path(f"/proc/{program.pid}/task").iterdir()
        if task.name != str(program.pid)
        for pid in (task / "children").read_text().split()
    ]
    assert len(children) >= 2
    program.send_signal(getattr(signal, name))
    _, errors = program.communicate(timeout=300)
    assert name == "SIGKILL" or errors.strip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") <= 1
    deadline = time.monotonic() + 20
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, children))


def test_a_program_without_its_main_guard(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import numpy as np, nyala\nnyala.set_backend('numpy')\n"
        "class Data(nyala.utils.PyDataset):\n"
        "    def __len__(self): return 2\n"
        "    def __getitem__(self, i): return (np.zeros((1, 3), 'float32'),)\n"
        "nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)]).predict(Data(use_multiprocessing=True))\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "fix: put what trains under: if __name__ == '__main__':" in done.stderr


if __name__ == "__main__":
    np.seterr(all="raise")
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
        for check in (*CHECKS, check_leaving):
            began = time.monotonic()
            with nobody_left():
                check()
            print(number + 1, check.__name__, f"{time.monotonic() - began:.1f} s", flush=True)
