"""Runs on a cluster of two real nodes: the records of one machine, even if nodes are lost."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bnbench.errors import EnvironmentFault
from bnbench.training.engines.ray import Node, Ray, places
from tests.conftest import trials_of
from tests.faults.conftest import untimed, untimed_records
from tests.forge import Forge
from tests.training.engines.cluster import ADDRESS, Cluster, hindrance, kill_node

Line = dict[str, Any]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="needs the extra ray")
    if reason := hindrance():
        pytest.skip(reason)
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


def start(cluster: Cluster, *configs: Path, address: str = ADDRESS, **options: Any) -> psutil.Popen:
    return cluster.start(
        *(sys.executable, "-m", "tests.training.engines.events", address, *map(str, configs)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def lines(started: psutil.Popen) -> Iterator[Line]:
    """Yield what the process prints until its end; there is nothing on standard error."""
    with started:
        for text in started.stdout:
            yield json.loads(text)
        assert started.stderr.read() == ""
    assert started.returncode == 0


def records(reported: list[Line]) -> dict[str, str]:
    """Return, by the run's name, what of its record must be equal for all engines."""
    return {line["trial"]: alike(untimed(line["record"])) for line in reported if "record" in line}


def alike(untimed_record: str) -> str:
    content = json.loads(untimed_record)
    del content["environment"]["engine"]
    return json.dumps(content)


def made_here(forge: Forge, folder: Path, *configs: Path) -> dict[str, str]:
    """Return the records, as `records` does, that worker processes make."""
    done = forge.run("run", *configs, "--jobs", 2, "--runs-dir", folder)
    assert done.returncode == 0, done.stderr
    found = [alike(text) for text in untimed_records(folder).values()]
    return {"{config[name]} seed {seed}".format(**json.loads(text)): text for text in found}


@pytest.mark.endurance
@pytest.mark.slow
def test_a_cluster_makes_the_records_of_one_machine(
    cluster: Cluster, forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """A command that was killed is repeated; epochs are reported as they end."""
    refused = start(cluster, tiny_yaml("refused"), token="0" * 64)
    configs = [tiny_yaml(name, placement=name) for name in ("none", "after_activation")]
    with start(cluster, *configs) as killed:
        assert any("epochs" in line for line in killed.stdout)
        killed.kill()

    reported = list(lines(start(cluster, *configs)))

    assert reported[0] == {"note": f"2 CPUs on 2 nodes of the Ray cluster at {ADDRESS}"}
    assert reported[-1] == {"imported": []}
    assert len([line for line in reported if "epochs" in line]) == 8
    expected = made_here(forge, tmp_path / "runs", *configs)
    assert records(reported) == expected
    fault, _ = lines(refused)
    assert fault["fault"].startswith(
        f"Ray cluster at {ADDRESS}: it refuses our token; set RAY_AUTH"
    )


@pytest.mark.endurance
@pytest.mark.slow
def test_runs_of_a_lost_node_and_of_a_lost_worker_are_repeated(
    cluster: Cluster, forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """The epochs of a run that is lost twice are seen three times, and every record is right."""
    config = tiny_yaml(epochs=1500, seeds=2)
    reported, starts = [], []
    for line in lines(start(cluster, config)):
        reported.append(line)
        if line.get("epochs") == 1:
            starts.append(line["trial"])
            if len(starts) == 2:  # one on each node
                kill_node(cluster.second)
            if len(starts) == 3:  # on the node that is left
                cluster.workers()[0].kill()
    assert sorted(starts.count(trial) for trial in set(starts)) == [1, 3]
    expected = made_here(forge, tmp_path / "runs", config)
    assert records(reported) == expected


@pytest.mark.endurance
@pytest.mark.slow
def test_an_address_without_a_cluster_is_reported_at_once(
    cluster: Cluster, tiny_yaml: Callable[..., Path]
) -> None:
    """Nobody answers there, or it is not an address."""
    for address in ("10.9.0.1:6398", "10.9.0.1"):
        fault, *_ = lines(start(cluster, tiny_yaml(), address=address))
        assert fault["fault"].startswith(f"Ray cluster at {address}: no cluster answers there (")


def test_ray_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault names the extra."""
    monkeypatch.setattr("bnbench.training.engines.ray.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'bnbench\[ray\]'"):
        next(Ray("localhost:1").make([], {}))


def test_a_seed_stays_on_one_kind_of_node(tiny: Callable[..., Any]) -> None:
    """Where instruction sets differ, pairs do not, and every CPU gets its share of the runs."""
    nodes = [Node("a", 2, "avx2"), Node("b", 1, "avx512"), Node("c", 1, "avx512")]
    trials = trials_of(*(tiny("seeds=8", name=name) for name in ("one", "other")))
    chosen = places(trials, nodes)
    kinds = {node.id: node.instruction_set for node in nodes}
    for seed in range(8):
        assert len({kinds[chosen[trial]] for trial in trials if trial.seed == seed}) == 1
    assert [list(chosen.values()).count(node.id) for node in nodes] == [8, 4, 4]
    assert places(trials, nodes[1:]) == {}
