"""Runs made on a Ray cluster, one to a CPU of any of its nodes.

A driver process joins the cluster and submits one task for each run: Ray takes over the signals and
the standard error of the process that joins. The caller's process does not even import Ray.
"""

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from importlib.util import find_spec
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines import child
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.runner import TrialRunner, reason
from bnbench.training.trial import Trial

_PACKAGES = ("ray", "tensorflow", "keras", "numpy")
_ATTEMPTS = 4  # of a run, as several nodes may be lost
_PROBE_SECONDS = 5.0
_JOIN_SECONDS = 60.0  # Ray tries for minutes
_INSPECTION_SECONDS = 300.0  # a node unpacks our code first
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Ray:
    """One run at once to a CPU of the cluster at ``address``; ``report`` gets lines about it."""

    address: str
    report: Callable[[str], object] = lambda line: None

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield what happens to the trials; see `Engine.make`."""
        if find_spec("ray") is None:
            raise EnvironmentFault("Ray is not installed; get it with: pip install 'bnbench[ray]'")
        request = (self.address, trials, data, models)
        try:
            _probe(self.address)
            with closing(child.messages(_drive, request, patience=_JOIN_SECONDS)) as messages:
                for message in messages:
                    if isinstance(message, str):
                        self.report(message)
                    else:
                        yield message
        except (BnbenchError, TimeoutError) as fault:
            why = str(fault) or "what answers is not a Ray cluster, or a very busy one"
            raise EnvironmentFault(f"Ray cluster at {self.address}: {why}") from fault


def _probe(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _PROBE_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise EnvironmentFault(f"no cluster answers there ({error})") from error


@dataclass(frozen=True)
class Node:
    """A node of the cluster that makes runs."""

    id: str
    cpus: float
    instruction_set: str


def _drive(
    request: tuple[str, Sequence[Trial], Mapping[Config, Dataset], bool], parent: Connection
) -> Iterator[Event | str]:
    address, trials, data, models = request
    os.chdir("/")  # Ray lets its workers import from the driver's working folder
    _join(address)
    nodes = _inspected_nodes()
    cpus = int(sum(node.cpus for node in nodes))
    yield f"{cpus} CPUs on {len(nodes)} nodes of the Ray cluster at {address}"
    kinds = {node.instruction_set for node in nodes}
    if len(kinds) > 1:
        yield (
            f"its processors differ ({', '.join(sorted(kinds))}), and with them the last bits of "
            "the weights; runs of one seed are kept on one kind"
        )
    yield from _Tasks(data, cpus, models, places(trials, nodes)).events(trials)


def _join(address: str) -> None:
    import ray

    environment = {
        "py_modules": [str(Path(__file__).parents[2])],
        "env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONSAFEPATH": "1"},
    }
    with tempfile.TemporaryFile() as log:  # Ray writes to both descriptors, whatever its log level
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            ray.init(
                address, log_to_driver=False, logging_level="CRITICAL", runtime_env=environment
            )
        except Exception as failure:
            log.seek(0)
            cause = f"it cannot be joined: {reason(failure)}"
            if b"InvalidAuthToken" in log.read():  # the exception does not say so
                cause = "it refuses our token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to what "
                cause += "its nodes were started with"
            raise EnvironmentFault(cause) from failure


def _inspected_nodes() -> list[Node]:
    import ray

    alive = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not alive:
        raise EnvironmentFault("it has no CPU for runs")
    inspect = ray.remote(num_cpus=0, max_retries=0)(_inspect)
    answers = [inspect.options(scheduling_strategy=_on(node["NodeID"])).remote() for node in alive]
    nodes, (our_versions, _) = [], _inspect()
    for node, answer in zip(alive, answers, strict=True):
        name = f"node {node['NodeManagerAddress']}"
        try:
            versions, instruction_set = ray.get(answer, timeout=_INSPECTION_SECONDS)
        except ray.exceptions.RayError as failure:
            cause = reason(getattr(failure, "cause", failure))
            raise EnvironmentFault(f"{name} cannot make runs: {cause}") from failure
        if versions != our_versions:
            raise EnvironmentFault(f"{name} has {versions}; here it is {our_versions}")
        nodes.append(Node(node["NodeID"], node["Resources"]["CPU"], instruction_set))
    return nodes


def _inspect() -> tuple[str, str]:
    found = {package.name: package.version for package in distributions()}
    versions = (f"{name} {found.get(name, 'missing')}" for name in _PACKAGES)
    return ", ".join(versions), device.instruction_set()


def _on(node: str, soft: bool = False) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=soft)


def places(trials: Sequence[Trial], nodes: Sequence[Node]) -> dict[Trial, str]:
    """Return each trial's node if the cluster has nodes of several kinds; else an empty mapping.

    The runs of one seed are made on one kind of node, and every CPU gets its share of them.
    """
    kinds = {node.instruction_set for node in nodes}
    if len(kinds) == 1:
        return {}
    cpus = [node for node in nodes for _ in range(int(node.cpus))]
    of_kind = {kind: cycle([n.id for n in cpus if n.instruction_set == kind]) for kind in kinds}
    kind_of = [node.instruction_set for node in cpus]
    return {trial: next(of_kind[kind_of[trial.seed % len(cpus)]]) for trial in trials}


@dataclass
class _Tasks:
    """The tasks under way. Ray does not retry them: it would skip what was streamed before."""

    data: Mapping[Config, Dataset]
    cpus: int
    models: bool
    places: Mapping[Trial, str]
    streams: dict[Any, Trial] = field(default_factory=dict)
    lost: Counter[Trial] = field(default_factory=Counter)
    shared: dict[int, Any] = field(default_factory=dict)

    def events(self, trials: Sequence[Trial]) -> Iterator[Event]:
        import ray

        self.shared = {id(dataset): ray.put(dataset) for dataset in set(self.data.values())}
        for trial in trials:
            self._submit(trial)
        while self.streams:
            waiting = list(self.streams)
            for stream in ray.wait(waiting, timeout=_POLL_SECONDS, fetch_local=False)[0]:
                yield from self._next(stream)

    def _submit(self, trial: Trial) -> None:
        import ray

        task = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_train)
        node = self.places.get(trial)
        strategy = _on(node, soft=True) if node else "DEFAULT"
        dataset = self.shared[id(self.data[trial.config])]
        stream = task.options(name=str(trial), scheduling_strategy=strategy).remote(
            trial, dataset, self.cpus, self.models
        )
        self.streams[stream] = trial

    def _next(self, stream: Any) -> Iterator[Event]:
        import ray

        trial = self.streams.pop(stream)
        try:
            event: Event = ray.get(next(stream))
        except ray.exceptions.RayTaskError as failure:
            if isinstance(failure.cause, BnbenchError):
                raise failure.cause from None
            yield RunFailed(trial, reason(failure.cause), str(failure))
        except (ray.exceptions.RayError, StopIteration) as failure:
            # A stream may also end normally though its node is gone.
            self.lost[trial] += 1
            if self.lost[trial] < _ATTEMPTS:
                self._submit(trial)
            else:
                yield RunFailed(trial, f"lost {_ATTEMPTS} times, last by {reason(failure)}")
        else:
            if not isinstance(event, RunEnded | RunFailed):
                self.streams[stream] = trial
            yield event


@cache  # Ray keeps the worker process for the next run
def _runner(jobs: int) -> TrialRunner:
    return TrialRunner(device.start("cpu"), "ray", jobs)


def _train(trial: Trial, dataset: Dataset, jobs: int, models: bool) -> Iterator[Event]:
    yield from _runner(jobs).make(trial, dataset, models)
