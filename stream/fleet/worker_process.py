"""The other end of `ProcessPool`: a worker that reads tasks and answers on its own pipes."""

from __future__ import annotations

import os
import pickle
import queue
import threading
from contextlib import suppress

from stream.fleet.task import Task
from stream.fleet.watched_pool import Event, Ready, Signs
from stream.fleet.work import Worker


def main() -> None:
    """Does what comes on standard input, until that is closed; answers on standard output.

    The main thread only reads: it answers questions in the middle of a file, and ends the process
    at once when the driver is gone. Files are done in another, where no handler of Ctrl-C is set.
    """
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What libraries print, or programs that they start read, is not to come between.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    lock = threading.Lock()

    def answer(event: Event) -> None:
        try:
            with lock:
                pickle.dump(event, answers)
                answers.flush()
        except OSError:
            os._exit(0)  # nobody listens any more

    worker = Worker(*pickle.load(asked))
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()

    def work() -> None:
        answer(Ready(*worker.prepare()))
        while True:
            answer(worker.do(tasks.get()))

    threading.Thread(target=work, name="stream-work", daemon=True).start()
    # Where the driver was killed in the middle of a message, that is its end too.
    with suppress(EOFError, pickle.UnpicklingError, OSError):
        while True:
            message = pickle.load(asked)
            if message is None:
                answer(Signs(worker.signs()))
            else:
                tasks.put(message)
    os._exit(0)
