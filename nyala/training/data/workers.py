# SPDX-License-Identifier: Apache-2.0
"""Batches by number, made by several threads or processes and given in order.

One thread owns a team of workers and reads its results; whoever made the team closes it. Processes are spawned, never forked: a fork takes along
locks that other threads hold, and nobody is left to release them. Start at Team.run.
"""

from __future__ import annotations

import collections
import contextlib
import pickle
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from nyala.core.errors import ArgumentError, StateError, missing_method
from nyala.engines import current, using
from nyala.training.data import prefetch
from nyala.training.data.worker_process import serve


class Team:
    """Workers of one data set: what threads and processes have in common.

    A task is (number, index): numbers count up over the life of the team, so that what comes late is told apart."""

    def __init__(self, name: str, ahead: int) -> None:
        self.name, self.ahead = name, max(ahead, 1)
        self._number = 0
        self._done: dict[int, tuple[Any, BaseException | None]] = {}
        self._dropped: set[int] = set()

    def run(self, order: Iterator[int]) -> Iterator[Any]:
        """The batches of these indices, in order; `ahead` of them are asked for before they are needed."""
        waiting: collections.deque[int] = collections.deque()
        try:
            for index in order:
                self._number += 1
                waiting.append(self._number)
                self._submit(self._number, index)
                if len(waiting) >= self.ahead:
                    yield self._take(waiting.popleft())
            while waiting:
                yield self._take(waiting.popleft())
        finally:
            self._forget(set(waiting))

    def _take(self, number: int) -> Any:
        while number not in self._done:
            self._collect()
        batch, error = self._done.pop(number)
        if error is not None:
            raise error
        return batch

    def _note(self, number: int, batch: Any, error: BaseException | None) -> None:
        if number in self._dropped:
            self._dropped.discard(number)
        else:
            self._done[number] = batch, error

    def _forget(self, numbers: set[int]) -> None:
        """Results of these tasks are of no use any more."""
        self._dropped |= {number for number in numbers if self._done.pop(number, None) is None}

    def _submit(self, number: int, index: int) -> None:
        raise missing_method(self, "_submit(self, number, index)")

    def _collect(self) -> None:
        """Wait for a result, and note it."""
        raise missing_method(self, "_collect(self)")

    def renew(self) -> None:
        """The data set has changed between epochs."""

    def report(self) -> str:
        """What each worker is at, with its stack."""
        raise missing_method(self, "report(self)")

    def close(self) -> None:
        """End all workers."""
        raise missing_method(self, "close(self)")


class Threads(Team):
    """Worker threads of this process, which share the data set.

    Args:
        make: gives a batch for its index.
    """

    def __init__(self, make: Callable[[int], Any], count: int, ahead: int, name: str) -> None:
        super().__init__(name, ahead)
        self._make, self._engine = make, current()
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._results: queue.SimpleQueue = queue.SimpleQueue()
        self._closing = False
        self._busy: dict[str, tuple[int, float]] = {}
        self._threads = [threading.Thread(target=self._serve, name=f"nyala-data-{i + 1}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        here = threading.current_thread().name
        with using(self._engine):
            while (task := self._tasks.get()) is not None:
                number, index = task
                if self._closing:
                    continue
                self._busy[here] = (index, time.monotonic())
                try:
                    batch, failure = self._make(index), None
                except BaseException as error:
                    error.add_note(f"while the worker thread {here} made batch {index} of {self.name}")
                    batch, failure = None, error
                self._busy.pop(here, None)
                self._results.put((number, batch, failure))

    def _submit(self, number: int, index: int) -> None:
        self._tasks.put((number, index))

    def _collect(self) -> None:
        result = self._results.get()
        if result is None:
            raise EOFError(f"the workers of {self.name} have ended")
        self._note(*result)

    def report(self) -> str:
        lines = []
        for thread in self._threads:
            task = self._busy.get(thread.name)
            if task is not None:
                seconds = time.monotonic() - task[1]
                lines.append(f"worker thread {thread.name}, at batch {task[0]} for {seconds:.0f} s:\n{prefetch.where_is(thread.ident)}")
        return "".join(lines)

    def close(self) -> None:
        self._closing = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            prefetch.end_thread(thread, self.name)
        self._results.put(None)  # for a reader that was left alone


class _Worker:
    """A spawned process and the two pipes to it: tasks and results, questions and answers."""

    def __init__(self, number: int) -> None:
        from multiprocessing import get_context

        spawn = get_context("spawn")
        self.number, self.started, self.tasks = number, False, dict[int, tuple[int, float]]()
        self.pipe, theirs = spawn.Pipe()
        self.questions, their_questions = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs, their_questions), name=f"nyala-data-{number}", daemon=True)
        try:
            self.process.start()
        finally:
            theirs.close()
            their_questions.close()

    @property
    def title(self) -> str:
        return f"worker process {self.number} (pid {self.process.pid})"

    def stack(self) -> str:
        """The lines that it is at, as it says itself."""
        try:
            self.questions.send("where")
            return self.questions.recv() if self.questions.poll(2.0) else "  (it does not answer: it is in a call that lets no other thread run)\n"
        except (OSError, EOFError):
            return "  (it has ended)\n"

    def close(self) -> None:
        for pipe in (self.pipe, self.questions):
            pipe.close()  # it ends when it sees this

    def join(self) -> None:
        self.process.join(prefetch.CLOSE_SECONDS)
        for end in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                end()
                self.process.join(prefetch.CLOSE_SECONDS)
        if not self.process.is_alive():
            self.process.close()


class Processes(Team):
    """Spawned worker processes, each with a copy of the data set.

    Args:
        source: the data set, which must be importable and picklable.
    """

    AT_ONCE = 2  # tasks that a worker has, so that it need not wait for the next

    def __init__(self, source: Any, count: int, ahead: int, name: str) -> None:
        super().__init__(name, ahead)
        self._source = source
        self._queue: collections.deque[tuple[int, int]] = collections.deque()
        packed = self._packed()
        self._workers: list[_Worker] = []
        try:
            for i in range(count):
                self._workers.append(_Worker(i + 1))
            for worker in self._workers:
                self._send(worker, ("data", packed))
        except BaseException:
            self.close()
            raise

    def _packed(self) -> bytes:
        try:
            return pickle.dumps(self._source, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            raise ArgumentError(
                f"{self.name} with use_multiprocessing=True",
                need="a data set that can be pickled, since each process gets a copy",
                got=f"{type(error).__name__}: {error}",
                fix="open files and make locks in __getitem__, leave out lambdas, or use threads (use_multiprocessing=False)",
            ) from error

    def _submit(self, number: int, index: int) -> None:
        self._queue.append((number, index))
        self._hand_out()

    def _hand_out(self) -> None:
        for worker in sorted(self._workers, key=lambda worker: len(worker.tasks)):
            while self._queue and len(worker.tasks) < self.AT_ONCE:
                number, index = self._queue.popleft()
                worker.tasks[number] = (index, time.monotonic())
                self._send(worker, ("batch", number, index))

    def _send(self, worker: _Worker, message: tuple) -> None:
        try:
            worker.pipe.send(message)
        except OSError:
            raise self._death(worker) from None

    def _collect(self) -> None:
        from multiprocessing.connection import wait

        busy = [worker for worker in self._workers if worker.tasks]
        ready = wait([worker.pipe for worker in busy])
        for worker in busy:
            if worker.pipe in ready:
                self._receive(worker)
        self._hand_out()

    def _receive(self, worker: _Worker) -> None:
        try:
            number, batch, failure = worker.pipe.recv()
        except (EOFError, OSError):
            raise self._death(worker) from None
        worker.started = True
        index, _ = worker.tasks.pop(number)
        self._note(number, batch, None if failure is None else self._rebuilt(worker, index, *failure))

    def _rebuilt(self, worker: _Worker, index: int, packed: bytes | None, kind: str, text: str) -> BaseException:
        """The error of a worker, of its own class if that can be had here, with the traceback of the worker."""
        error: BaseException | None = None
        if packed is not None:
            with contextlib.suppress(Exception):
                error = pickle.loads(packed)
        if not isinstance(error, BaseException):
            error = RuntimeError(kind)
        error.add_note(f"in {worker.title}, which made batch {index} of {self.name}:\n{text}")
        return error

    def _death(self, worker: _Worker) -> StateError:
        worker.process.join(prefetch.CLOSE_SECONDS)
        code = worker.process.exitcode
        task = next(iter(worker.tasks.values()), None)
        if not worker.started and code == 1:
            why, fix = (
                "a spawned process imports the program again, and what it then trains starts further processes",
                "put what trains under: if __name__ == '__main__':  (what the process itself printed says more)",
            )
        else:
            why = "it was killed, most often because memory ran out" if code is not None and code < 0 else ""
            fix = "use fewer workers, a smaller max_queue_size or threads"
        got = f"exit code {code}" if code is not None else "no answer"
        at = f" while it made batch {task[0]}" if task else ""
        return StateError(
            f"{self.name} with use_multiprocessing=True", need="workers that live", got=f"{got} of {worker.title}{at}", why=why, fix=fix
        )

    def renew(self) -> None:
        while any(worker.tasks for worker in self._workers):
            self._collect()
        packed = self._packed()
        for worker in self._workers:
            self._send(worker, ("data", packed))

    def report(self) -> str:
        lines = []
        for worker in self._workers:
            for index, since in list(worker.tasks.values())[:1]:
                lines.append(f"{worker.title}, at batch {index} for {time.monotonic() - since:.0f} s:\n{worker.stack()}")
        return "".join(lines)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.join()
        self._workers = []
