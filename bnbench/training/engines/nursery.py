"""The process that imports TensorFlow once and forks the workers of `processes.Processes`.

They share its memory and are ready at once. It does the work of multiprocessing's own fork server,
of which a process has one for all its libraries, and which neither ends before the process does
nor leaves its folder clean.
"""

import dataclasses
import gc
import mmap
import os
import signal
import socket
import struct
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection

import numpy as np

from bnbench.datasets.dataset import Dataset
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines import worker
from bnbench.training.engines.worker import Setup

NUMBER = struct.Struct("!I")  # which worker a message to the nursery is about
ENDED = struct.Struct("!i")  # its answer: the exit code, or minus the signal that ended it
_NEVER_LIVED = 255


def serve(requests: socket.socket, others: socket.socket | None = None) -> None:
    """Fork workers as ``requests`` asks for them, until the parent closes its end.

    ``others`` is that end where this process has inherited it. The first message is a `Setup`,
    every further one the number of a worker: with a descriptor, the worker's connection, it asks
    for this worker, without one for how it ended.
    """
    worker.leave_signals_to_the_parent()
    if others is not None:
        others.close()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):  # nobody is there any more
        nursery = _Nursery(requests, _received(requests))
        with suppress(Exception):  # every worker will meet it again, and can tell
            device.load()
        gc.freeze()  # else the first collection in each worker would write to all that is shared
        nursery.serve()


@dataclass
class _Nursery:
    requests: socket.socket
    setup: Setup
    workers: dict[int, int] = field(default_factory=dict)  # number → process id

    def serve(self) -> None:
        try:
            while True:
                message, descriptors, _, _ = socket.recv_fds(self.requests, NUMBER.size, 1)
                if not message:
                    return
                (number,) = NUMBER.unpack(message)
                if descriptors:
                    with Connection(descriptors[0]) as parent:
                        self._fork(number, parent)
                else:
                    self.requests.sendall(ENDED.pack(_exit_code(self.workers.pop(number, 0))))
        finally:
            for process in self.workers.values():
                _exit_code(process)

    def _fork(self, number: int, parent: Connection) -> None:
        with suppress(OSError):  # no more processes: the parent sees its connection closed
            self.workers[number] = os.fork()
        if self.workers.get(number) != 0:
            return
        try:
            self.requests.close()
            worker.work(parent, self.setup)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # a worker is not asked to come to an end


def _received(requests: socket.socket) -> Setup:
    with Connection(os.dup(requests.fileno())) as parent:
        setup: Setup = parent.recv()
    return dataclasses.replace(setup, data=_in_shared_memory(setup.data))


def _end_with_the_parent() -> None:
    # While TensorFlow is imported, which takes seconds, nothing else looks.
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(0)


def _exit_code(process: int) -> int:
    """End a worker, which may have ended, and return its exit code or minus its signal."""
    if not process:
        return _NEVER_LIVED
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _in_shared_memory(data: Mapping[Config, Dataset]) -> dict[Config, Dataset]:
    """Return the data in memory that forked processes share, each array at a page of its own.

    At such an address TensorFlow uses an array where it stands.
    """
    moved = {id(dataset): _moved(dataset) for dataset in data.values()}
    return {config: moved[id(dataset)] for config, dataset in data.items()}


def _moved(dataset: Dataset) -> Dataset:
    return dataclasses.replace(
        dataset,
        x_train=_shared(dataset.x_train),
        y_train=_shared(dataset.y_train),
        x_val=_shared(dataset.x_val),
        y_val=_shared(dataset.y_val),
        x_test=_shared(dataset.x_test),
        y_test=_shared(dataset.y_test),
    )


def _shared(array: np.ndarray) -> np.ndarray:
    shared = np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype, array.size)
    shared = shared.reshape(array.shape)
    shared[...] = array
    return shared
