"""Seeds are added from look to look until what is asked is decided, on any engine."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from bnbench import api
from bnbench.campaign import Campaign
from bnbench.cli.advice import COMMANDS
from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config
from bnbench.show.progress import ProgressReporter
from bnbench.show.sentences import answer, closing
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.trial import Trial
from tests.conftest import CONFIGS, bnbench, record

Accuracy = Callable[[Trial], float | None]
NOISE = np.random.default_rng(1).normal(0, 0.002, 100)
SHA = type("Data", (), {"sha256": "d" * 64})  # all that is asked of the data here


class Made:
    """An engine whose runs have the accuracies that a function gives."""

    def __init__(self, accuracy: Accuracy, most: int = 1000, fails: Sequence[str] = ()) -> None:
        self.accuracy, self.most, self.fails = accuracy, most, fails
        self.trials: list[Trial] = []

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        for trial in trials:
            if len(self.trials) == self.most:
                raise KeyboardInterrupt
            self.trials.append(trial)
            if str(trial) in self.fails:
                yield RunFailed(trial, "killed")
            else:
                made = record(trial.config, trial.seed, self.accuracy(trial))
                yield RunEnded(trial, made)

    def seeds(self) -> dict[str, int]:
        """How many runs each experiment got."""
        return dict(Counter(trial.config.name for trial in self.trials))


@pytest.fixture
def decide(tmp_path: Path) -> Callable[..., api.Study]:
    """Decide about shipped configs with an engine, into one folder of records."""

    def decided(engine: Made, *names: str, settings: Sequence[str] = ()) -> api.Study:
        configs = api.load_configs([CONFIGS / f"{name}.yaml" for name in names], settings)
        store = RecordStore(tmp_path / "runs")
        store.prepare()
        datasets = dict.fromkeys(configs, cast(Dataset, SHA()))
        campaign = Campaign(datasets, store, lambda needed: engine, ProgressReporter())
        campaign.run_until_decided()
        return api.Study(
            tuple(campaign.comparisons()),
            tuple(campaign.records),
            failures=tuple(campaign.failures),
        )

    return decided


def gains(noise: float = 0.003, **points: float) -> Accuracy:
    """Give each network the noise that all share, its own points, and noise of its own."""
    own = {
        name: points[name] / 100 + np.random.default_rng(place).normal(0, noise, 100)
        for place, name in enumerate(points)
    }
    return lambda trial: 0.87 + NOISE[trial.seed] + own[trial.config.name][trial.seed]


THREE = ("no_bn", "post_act", "pre_act")


def test_a_clear_answer_takes_the_first_look(decide, capsys) -> None:
    """Ten seeds of each, then it is decided, however many the plan would still have."""
    engine = Made(gains(0.001, no_bn=0, post_act=1.8, pre_act=1.3))
    study = decide(engine, *THREE)
    assert engine.seeds() == {"no_bn": 10, "post_act": 10, "pre_act": 10}
    assert study.comparisons[0].contrasts[0].result.verdict == "better"
    assert "Decided at 10 of at most 40 seeds: 30 runs instead of 120" in capsys.readouterr().err


def test_what_is_decided_gets_no_more_seeds(decide) -> None:
    """The plain network, far from both, leaves them alone to go on."""
    engine = Made(gains(0.005, no_bn=-5.0, post_act=0.2, pre_act=0.0))
    study = decide(engine, *THREE)
    seeds = engine.seeds()
    assert seeds["no_bn"] == 10 < seeds["post_act"] == seeds["pre_act"] <= 40
    (placement, *against_baseline) = study.comparisons[0].contrasts
    assert placement.result.decided_at == seeds["post_act"]
    assert [contrast.result.decided_at for contrast in against_baseline] == [10, 10]


def test_it_ends_when_the_title_question_is_answered(decide) -> None:
    """Before or after is decided at once; a contrast with the baseline may stay open."""
    engine = Made(gains(no_bn=0.9, post_act=1.0, pre_act=0.0))
    study = decide(engine, *THREE)
    assert engine.seeds() == {"no_bn": 10, "post_act": 10, "pre_act": 10}
    assert not all(contrast.result.decided for contrast in study.comparisons[0].contrasts)


def test_networks_whose_question_is_answered_get_no_more_seeds(decide) -> None:
    """Those with tanh go on to the plan's end; what is open of the others is said to need more."""
    tanh = {"tanh_no_bn": 0.1, "tanh_post_act": 0.15, "tanh_pre_act": 0.0}
    engine = Made(gains(0.005, no_bn=1.9, post_act=2.0, pre_act=0.0, **tanh))
    study = decide(engine, *THREE, *(f"tanh/{name}" for name in THREE))
    seeds = engine.seeds()
    assert {name: number for name, number in seeds.items() if number > 10}.keys() == tanh.keys()
    pairs = {(c.experiment.label, c.baseline.label): c for c in study.comparisons[0].contrasts}
    assert not pairs["post_act", "no_bn"].result.decided
    reported = answer(study.comparisons[0], COMMANDS)
    assert "between before and after (tanh_post_act against tanh_pre_act)" in reported[1]
    assert reported[1].endswith("the plan ended at 40 seeds.")
    (more,) = [line for line in reported if line.startswith("post_act against no_bn is undecided")]
    assert more.endswith("repeat the run with --seeds 15.")


def test_without_a_placement_to_decide_the_contrasts_with_the_baseline_decide(decide) -> None:
    """The input BN is decided at once; `post_act`, which is not, goes on with the baseline."""
    engine = Made(gains(no_bn=0.0, input_bn=3.0, post_act=0.25))
    study = decide(engine, "no_bn", "controls/input_bn", "post_act")
    seeds = engine.seeds()
    assert seeds["input_bn"] == 10 < seeds["no_bn"] == seeds["post_act"]
    assert all(contrast.result.decided for contrast in study.comparisons[0].contrasts)


def test_the_plan_has_an_end(decide, capsys) -> None:
    """A difference of just the margin under much noise stays open, and that is said."""
    rough = np.random.default_rng(5).normal(0, 0.02, (2, 100))
    places = {"post_act": 0, "pre_act": 1}
    engine = Made(lambda trial: 0.8 + rough[places[trial.config.name], trial.seed])
    study = decide(engine, "post_act", "pre_act", settings=["plan.most=20"])
    assert engine.seeds() == {"post_act": 20, "pre_act": 20}
    assert study.comparisons[0].contrasts[0].result.next_look is None
    assert "Undecided: 1 of 1 contrast." in capsys.readouterr().err


def test_an_interrupted_command_goes_on_where_it_was(decide) -> None:
    """Interrupted at any run, it makes the others when it is repeated, and says the same."""
    accuracy = gains(post_act=0.25, pre_act=0.0)
    first, second = Made(accuracy, most=23), Made(accuracy)
    with pytest.raises(KeyboardInterrupt):
        decide(first, "post_act", "pre_act")
    study = decide(second, "post_act", "pre_act")
    assert not set(first.trials) & set(second.trials)
    again = decide(Made(accuracy, most=0), "post_act", "pre_act")
    assert again.comparisons[0].contrasts[0].result == study.comparisons[0].contrasts[0].result


def test_a_run_that_fails_ends_it(decide) -> None:
    """A seed that cannot be made is a hole that no look gets over: what failed is reported."""
    engine = Made(gains(post_act=0.25, pre_act=0.0), fails=["pre_act seed 3"])
    study = decide(engine, "post_act", "pre_act")
    assert [str(failure.trial) for failure in study.failures] == ["pre_act seed 3"]
    assert engine.seeds() == {"post_act": 10, "pre_act": 10}


def test_only_chosen_values_get_further_seeds(decide) -> None:
    """Of a sweep every value gets the first look's seeds; then it is the best of each network."""
    engine = Made(gains(post_act=0.25, pre_act=0.0))
    study = decide(engine, "post_act", "pre_act", settings=["training.learning_rate=0.01,0.03"])
    counts = Counter(
        (trial.config.name, trial.config.training.learning_rate) for trial in engine.trials
    )
    tuned = study.comparisons[0]
    chosen = {(e.config.name, e.config.training.learning_rate) for e in tuned.experiments}
    assert len(counts) == 4
    assert {key for key, seeds in counts.items() if seeds > 10} == chosen
    assert tuned.contrasts[0].result.decided


def test_seeds_that_tune_may_have_no_part_in_the_verdict(decide, capsys) -> None:
    """Two of every value choose; what follows is of the chosen alone, and is what counts."""
    engine = Made(gains(0.001, post_act=0.25, pre_act=-0.5))
    study = decide(
        *(engine, "post_act", "pre_act"),
        settings=["training.learning_rate=0.01,0.03", "plan.tuning=2"],
    )
    counts = Counter((t.config.name, t.config.training.learning_rate) for t in engine.trials)
    assert sorted(counts.values()) == [2, 2, 12, 12]
    tuned = study.comparisons[0]
    (contrast,) = tuned.contrasts
    assert (contrast.result.decided_at, contrast.result.sample.pairs) == (10, 10)
    assert [list(e.records) for e in tuned.experiments] == [list(range(2, 12))] * 2
    assert tuned.tuning is not None
    assert [one.seeds for one in tuned.tuning.candidates] == [(0, 1)] * 2
    output = capsys.readouterr().err
    assert "Tuning with 2 seeds: 8 runs" in output
    assert "Decided at 10 of at most 40 seeds: 28 runs instead of 88" in output
    assert "nor its seeds in the comparison" in " ".join(closing(tuned))


def test_what_cannot_be_decided_is_refused(decide) -> None:
    """One experiment, and configs that state different plans, before anything is trained."""
    engine = Made(gains(pre_act=0))
    with pytest.raises(InputError, match="several experiments"):
        decide(engine, "pre_act")
    plans = [api.load_config(CONFIGS / "pre_act.yaml", [f"plan.first={n}"]) for n in (7, 8)]
    datasets = dict.fromkeys(plans, cast(Dataset, SHA()))
    store = RecordStore(Path("runs"))
    campaign = Campaign(datasets, store, lambda needed: engine, ProgressReporter())
    with pytest.raises(InputError, match="different plans"):
        campaign.run_until_decided()
    assert not engine.trials


@pytest.mark.endurance
def test_the_command_decides_on_real_runs(forge, tiny_yaml, tmp_path) -> None:
    """Two networks and a plan of 2, 3, 4 seeds: real runs, until it is decided or the plan ends."""
    paths = [
        tiny_yaml("after", placement="after_activation", epochs=1),
        tiny_yaml("before", placement="before_activation", epochs=1),
    ]
    plan = [f"--set=plan.{key}={value}" for key, value in (("first", 2), ("step", 1), ("most", 4))]
    runs = tmp_path / "runs"
    done = forge.run("run", *paths, *plan, "--until-settled", "--runs-dir", runs)
    assert done.returncode == 0, done.stderr
    made = len(list(runs.rglob("seed-*.json")))
    assert made in (4, 6, 8)
    assert f"{made} runs instead of 8" in done.stderr or "Undecided" in done.stderr
    refused = bnbench("run", *paths, "--seeds", 3, "--until-settled", "--runs-dir", runs)
    assert (refused.returncode, "expected a list or nothing" in refused.stderr) == (2, True)
