"""The driver of `ray.Ray`: it submits one task for each run and passes on the events.

Ray is imported only by functions: the process that asks for a driver does without it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.runner import TrialRunner, reason
from bnbench.training.trial import Trial

_PACKAGES = ("ray", "tensorflow", "keras", "numpy")
_ATTEMPTS = 4  # of a run, as several nodes may be lost
_INSPECTION_SECONDS = 300.0  # a node unpacks our code first
_GLANCE_SECONDS = 0.5


@dataclass(frozen=True)
class DriverRequest:
    """The runs that the driver is to have made, and the cluster for them."""

    address: str
    trials: tuple[Trial, ...]
    data: Mapping[Config, Dataset]
    models: bool


@dataclass(frozen=True)
class Note:
    """A line for the user."""

    line: str


@dataclass(frozen=True)
class Node:
    """A node of the cluster that makes runs."""

    id: str
    cpus: float
    instruction_set: str


def drive(request: DriverRequest, parent: Connection) -> Iterator[Event | Note]:
    """Have the trials made on the cluster; yield notes about it, then every event."""
    os.chdir("/")  # Ray lets its workers import from the driver's working folder
    _join(request.address)
    nodes = _inspected_nodes()
    cpus = int(sum(node.cpus for node in nodes))
    yield Note(f"{cpus} CPUs on {len(nodes)} nodes of the Ray cluster at {request.address}")
    kinds = {node.instruction_set for node in nodes}
    if len(kinds) > 1:
        yield Note(
            f"its processors differ ({', '.join(sorted(kinds))}), and with them the last bits of "
            "the weights; runs of one seed are kept on one kind"
        )
    yield from _Submitted(request, cpus, places(request.trials, nodes)).events()


def _redirect_output(path: str) -> None:
    # Ray writes to both descriptors, whatever its log level.
    file = os.open(path, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _join(address: str) -> None:
    """Connect this process to the cluster; raises `EnvironmentFault` if that fails."""
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
                    "env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONSAFEPATH": "1"},
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


def _inspected_nodes() -> list[Node]:
    """Return the nodes that have a CPU; raises `EnvironmentFault` if one cannot make our runs."""
    import ray

    listed = [
        node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    if not listed:
        raise EnvironmentFault("it has no CPU for runs")
    inspect = ray.remote(num_cpus=0, max_retries=0)(_inspect)
    answers = [
        inspect.options(scheduling_strategy=_on_node(node["NodeID"])).remote() for node in listed
    ]
    return [
        Node(
            node["NodeID"],
            node["Resources"]["CPU"],
            _instruction_set(answer, node["NodeManagerAddress"]),
        )
        for node, answer in zip(listed, answers, strict=True)
    ]


def _inspect() -> tuple[dict[str, str], str]:
    """Return the versions and the instruction set of the node that this runs on."""
    return _versions(), device.instruction_set()


def _versions() -> dict[str, str]:
    return {found.name: found.version for found in distributions() if found.name in _PACKAGES}


def _instruction_set(answer: Any, address: str) -> str:
    """Return a node's instruction set; raises `EnvironmentFault` unless it has our versions."""
    import ray

    try:
        theirs, instruction_set = ray.get(answer, timeout=_INSPECTION_SECONDS)
    except ray.exceptions.RayError as failure:
        cause = getattr(failure, "cause", failure)
        raise EnvironmentFault(f"node {address} cannot make runs: {reason(cause)}") from failure
    if differing := [
        f"{name} {theirs.get(name, 'missing')}, here it is {ours}"
        for name, ours in _versions().items()
        if theirs.get(name) != ours
    ]:
        raise EnvironmentFault(f"node {address} has {'; '.join(differing)}")
    return str(instruction_set)


def _on_node(node: str, soft: bool = False) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=soft)


def places(trials: Sequence[Trial], nodes: Sequence[Node]) -> dict[Trial, str]:
    """Return each trial's node if the cluster has nodes of several kinds; else an empty mapping.

    The runs of one seed are made on one kind of node. Each node gets runs in proportion to its
    CPUs.
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
    """The tasks under way. Ray does not retry them: it would skip what was streamed before."""

    request: DriverRequest
    cpus: int
    places: Mapping[Trial, str]
    streams: dict[Any, Trial] = field(default_factory=dict)
    lost: dict[Trial, int] = field(default_factory=dict)
    shared: dict[int, Any] = field(default_factory=dict)

    def events(self) -> Iterator[Event]:
        import ray

        for dataset in set(self.request.data.values()):
            self.shared[id(dataset)] = ray.put(dataset)
        for trial in self.request.trials:
            self._submit(trial)
        while self.streams:
            ready, _ = ray.wait(
                list(self.streams), num_returns=1, timeout=_GLANCE_SECONDS, fetch_local=False
            )
            for stream in ready:
                yield from self._next(stream)

    def _submit(self, trial: Trial) -> None:
        import ray

        task = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_train)
        node = self.places.get(trial)
        strategy = _on_node(node, soft=True) if node else "DEFAULT"
        dataset = self.shared[id(self.request.data[trial.config])]
        stream = task.options(name=str(trial), scheduling_strategy=strategy).remote(
            trial, dataset, self.cpus, self.request.models
        )
        self.streams[stream] = trial

    def _next(self, stream: Any) -> Iterator[Event]:
        """Yield the next event of a stream that has one ready, or has ended."""
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
            # A stream may also end normally though its node is gone.
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


_runner: TrialRunner | None = None  # of the worker process, which Ray keeps for the next run


def _train(trial: Trial, dataset: Dataset, jobs: int, models: bool) -> Iterator[Event]:
    global _runner
    if _runner is None:
        _runner = TrialRunner(device.start("cpu"), "ray", jobs)
    yield from _runner.make(trial, dataset, models)
