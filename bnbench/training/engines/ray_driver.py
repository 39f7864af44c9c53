"""What speaks to a Ray cluster: its process submits a task to a run and passes on what comes.

Ray is imported by the functions that need it: the engine that starts this process does without.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.worker import end_with, leave_signals_to_the_parent
from bnbench.training.engines.workshop import Workshop, reason
from bnbench.training.trial import Trial

_PACKAGES = ("ray", "tensorflow", "keras", "numpy")
_ATTEMPTS = 4  # of a run, as nodes may go one after another
_INSPECTION_SECONDS = 300.0  # a node unpacks our code first
_GLANCE_SECONDS = 0.5


@dataclass(frozen=True)
class Errand:
    """What the driver is to have done, and where."""

    address: str
    trials: tuple[Trial, ...]
    data: Mapping[Config, Dataset]
    models: bool


@dataclass(frozen=True)
class Noted:
    """A line for the user."""

    line: str


@dataclass(frozen=True)
class Done:
    """The last word: all trials have ended."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster that makes runs."""

    id: str
    address: str
    cpus: float
    versions: Mapping[str, str]
    instruction_set: str


def drive(parent: Connection) -> None:
    """Have the trials of the `Errand` that comes first made, and send the parent every event."""
    leave_signals_to_the_parent()
    _redirect_output(os.devnull)
    errand = parent.recv()
    end_with(parent)
    with suppress(BrokenPipeError):  # nobody is there any more
        try:
            for told in _told(errand):
                parent.send(told)
            parent.send(Done())
        except BnbenchError as fault:
            parent.send(fault)
        except BrokenPipeError:
            raise
        except Exception as failure:
            parent.send(EnvironmentFault(reason(failure)))


def _redirect_output(path: str) -> None:
    # Ray writes to both descriptors, whatever log level it is given.
    file = os.open(path, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _join(address: str) -> None:
    """Connect this process to the cluster; raises `EnvironmentFault` where that fails."""
    import ray

    with tempfile.NamedTemporaryFile() as log:
        _redirect_output(log.name)
        try:
            ray.init(
                address,
                log_to_driver=False,
                logging_level="CRITICAL",
                runtime_env={
                    "py_modules": [str(Path(__file__).parents[2])],
                    "env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3"},
                },
            )
        except Exception as failure:
            if b"InvalidAuthToken" in log.read():  # the exception does not say so
                raise EnvironmentFault(
                    "it refuses our token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to what its "
                    "nodes were started with"
                ) from failure
            raise EnvironmentFault(f"it cannot be joined: {reason(failure)}") from failure
        finally:
            _redirect_output(os.devnull)


def _told(errand: Errand) -> Iterator[Event | Noted]:
    import ray

    _join(errand.address)
    nodes = _inspected_nodes()
    cpus = int(sum(node.cpus for node in nodes))
    yield Noted(f"{cpus} CPUs on {len(nodes)} nodes of the Ray cluster at {errand.address}")
    kinds = {node.instruction_set for node in nodes}
    if len(kinds) > 1:
        yield Noted(
            f"its processors differ ({', '.join(sorted(kinds))}), and with them the last bits of "
            "the weights; runs of one seed are kept on one kind"
        )
    yield from _Submitted(errand, cpus, places(errand.trials, nodes)).events()
    ray.shutdown()


def _inspected_nodes() -> list[Node]:
    """Return the nodes that have a CPU; raises `EnvironmentFault` unless they can make our runs."""
    found = _nodes()
    if not found:
        raise EnvironmentFault("it has no CPU to give")
    ours = _versions()
    for node in found:
        if missing := [name for name in ours if name not in node.versions]:
            raise EnvironmentFault(f"node {node.address} has no {' and no '.join(missing)}")
        if differing := [
            f"{name} {node.versions[name]}, here it is {ours[name]}"
            for name in ours
            if node.versions[name] != ours[name]
        ]:
            raise EnvironmentFault(f"node {node.address} has {'; '.join(differing)}")
    return found


def _nodes() -> list[Node]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    listed = [
        node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    inspect = ray.remote(num_cpus=0, max_retries=0)(_inspect)
    answers = [
        inspect.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in listed
    ]
    return [
        Node(
            node["NodeID"],
            node["NodeManagerAddress"],
            node["Resources"]["CPU"],
            *_answer(answer, node["NodeManagerAddress"]),
        )
        for node, answer in zip(listed, answers, strict=True)
    ]


def _answer(answer: Any, address: str) -> tuple[dict[str, str], str]:
    import ray

    try:
        versions, instruction_set = ray.get(answer, timeout=_INSPECTION_SECONDS)
    except ray.exceptions.RayError as failure:
        cause = getattr(failure, "cause", failure)
        raise EnvironmentFault(f"node {address} cannot make runs: {reason(cause)}") from failure
    return versions, instruction_set


def _inspect() -> tuple[dict[str, str], str]:
    """Return what a node has, from that node."""
    return _versions(), device.instruction_set()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def places(trials: Sequence[Trial], nodes: Sequence[Node]) -> dict[Trial, str]:
    """Return the node for each trial in a cluster of several kinds; where all are equal, none.

    Every seed belongs to one kind of node, and each node gets runs in proportion to its CPUs.
    """
    if len({node.instruction_set for node in nodes}) == 1:
        return {}
    kinds: dict[int, str] = {}
    load = dict.fromkeys((node.id for node in nodes), 0)
    chosen = {}
    for trial in trials:
        kind = kinds.get(trial.seed)
        fitting = [node for node in nodes if kind in (None, node.instruction_set)]
        node = min(fitting, key=lambda node: load[node.id] / node.cpus)
        kinds[trial.seed] = node.instruction_set
        load[node.id] += 1
        chosen[trial] = node.id
    return chosen


@dataclass
class _Submitted:
    """Tasks under way. Ray's own retries stay off: they leave out what was streamed before."""

    errand: Errand
    cpus: int
    places: Mapping[Trial, str]
    streams: dict[Any, Trial] = field(default_factory=dict)
    lost: dict[Trial, int] = field(default_factory=dict)
    shared: dict[int, Any] = field(default_factory=dict)

    def events(self) -> Iterator[Event]:
        import ray

        for dataset in set(self.errand.data.values()):
            self.shared[id(dataset)] = ray.put(dataset)
        for trial in self.errand.trials:
            self._submit(trial)
        while self.streams:
            ready, _ = ray.wait(
                list(self.streams), num_returns=1, timeout=_GLANCE_SECONDS, fetch_local=False
            )
            for stream in ready:
                yield from self._next(stream)

    def _submit(self, trial: Trial) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {}
        if trial in self.places:
            place = NodeAffinitySchedulingStrategy(self.places[trial], soft=True)
            options["scheduling_strategy"] = place
        task = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_train)
        dataset = self.shared[id(self.errand.data[trial.config])]
        stream = task.options(name=str(trial), **options).remote(
            trial, dataset, self.cpus, self.errand.models
        )
        self.streams[stream] = trial

    def _next(self, stream: Any) -> Iterator[Event]:
        """Yield the event that a stream has ready, or what its end means."""
        import ray

        trial = self.streams[stream]
        try:
            event: Event = ray.get(next(stream))
        except ray.exceptions.RayTaskError as failure:
            del self.streams[stream]
            if isinstance(failure.cause, BnbenchError):
                raise failure.cause from None
            yield RunFailed(trial, reason(failure.cause), str(failure))
        except ray.exceptions.RuntimeEnvSetupError as failure:
            raise EnvironmentFault(f"our code cannot be set up: {reason(failure)}") from failure
        except (ray.exceptions.RayError, StopIteration) as failure:
            # A stream may also end as if all were well, though its node is gone.
            del self.streams[stream]
            yield from self._lose(trial, failure)
        else:
            if isinstance(event, RunEnded | RunFailed):
                del self.streams[stream]
            yield event

    def _lose(self, trial: Trial, failure: Exception) -> Iterator[Event]:
        self.lost[trial] = self.lost.get(trial, 0) + 1
        if self.lost[trial] < _ATTEMPTS:
            self._submit(trial)
        else:
            yield RunFailed(trial, f"lost {_ATTEMPTS} times, last by {reason(failure)}")


_workshop: Workshop | None = None  # of the worker process, which Ray keeps for the next run


def _train(trial: Trial, dataset: Dataset, jobs: int, models: bool) -> Iterator[Event]:
    global _workshop
    if _workshop is None:
        _workshop = Workshop(device.start("cpu"), "ray", jobs)
    yield from _workshop.make(trial, dataset, models)
