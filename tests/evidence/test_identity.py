"""A comparison keyed by identity: whatever names and states of the data there are, no mix-up."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bnbench.api import load_configs
from bnbench.campaign import agenda
from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.packed import pack
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config, check_same_settings
from bnbench.experiments.sweep import load_experiments
from bnbench.show import formats, grids, sentences
from bnbench.show.remarks import remarks
from bnbench.training.trial import Trial
from tests.conftest import CONFIGS, bnbench, compare, record

SEVEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882]


def made(config: Config, accuracies: Sequence[float], **changes: object) -> list[RunRecord]:
    """Make the records of any config by hand, one to an accuracy."""
    return [
        record("no_bn", seed, accuracy, **changes).model_copy(update={"config": config})
        for seed, accuracy in enumerate(accuracies)
    ]


def config_of(*overrides: str, file: str = "pre_act") -> Config:
    (config,) = load_experiments(CONFIGS / f"{file}.yaml", overrides)
    return config


def rows(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in grids.results(comparison).rows}


def test_labels_that_would_collide_stay_apart() -> None:
    """A name that looks like another's label gets neither its accuracy nor its verdict."""
    first, second = config_of(), config_of("model.activation=relu")
    posing = config_of(f"name=pre_act-{first.experiment_id}", "model.hidden_units=[50]")
    plain = config_of(file="no_bn")
    (found,) = compare(
        [
            *made(plain, SEVEN),
            *made(first, [v + 0.02 for v in SEVEN]),
            *made(second, [v + 0.05 for v in SEVEN]),
            *made(posing, [v - 0.10 for v in SEVEN]),
        ]
    )
    assert len({e.label for e in found.experiments}) == 4
    by_id = {e.identity[1]: e for e in found.experiments}
    shown = rows(found)
    for config, difference in ((first, "+2.00"), (second, "+5.00"), (posing, "-10.00")):
        experiment = by_id[config.experiment_id]
        assert shown[experiment.label][3].startswith(difference)
        contrast = found.against_baseline(experiment)
        assert contrast
        assert contrast.experiment is experiment
    content = json.loads(formats.to_json([found]))["protocols"][0]
    by_ids = {tuple(c["ids"]): c["mean_difference"] for c in content["contrasts"]}
    assert by_ids[posing.experiment_id, plain.experiment_id] == pytest.approx(-0.10)


def test_a_baseline_is_the_one_that_is_called_so() -> None:
    """The plain config comes before what was swept from it; two of one name are refused."""
    swept = load_experiments(CONFIGS / "pre_act.yaml", ["model.batch_norm.momentum=0.9,0.95"])
    plain = config_of()
    records = [r for config in (*swept, plain) for r in made(config, SEVEN)]
    (found,) = compare(records, baseline="pre_act")
    assert found.baseline.config == plain
    (found,) = compare(records, baseline="pre_act+batch_norm.momentum=0.95")
    assert found.baseline.config.model.batch_norm.momentum == 0.95
    (found,) = compare(records, baseline=swept[0].experiment_id)
    assert found.baseline.config == swept[0]
    with pytest.raises(InputError, match=r"pre_act may be any of .*=0\.9.*=0\.95.*: name one"):
        compare(records[:14], baseline="pre_act")


def test_a_baseline_that_may_be_several_in_one_protocol_serves_the_others() -> None:
    """There its default stays and a remark names those it may be; elsewhere it is taken."""
    swept = load_experiments(CONFIGS / "pre_act.yaml", ["model.batch_norm.momentum=0.9,0.95"])
    plain = config_of(file="no_bn")
    longer = load_experiments(CONFIGS / "pre_act.yaml", ["training.epochs=11"])[0]
    plainer = load_experiments(CONFIGS / "no_bn.yaml", ["training.epochs=11"])[0]
    records = [r for config in (*swept, plain, longer, plainer) for r in made(config, SEVEN)]
    found = {c.config.training.epochs: c for c in compare(records, baseline="pre_act")}
    assert found[11].baseline.config == longer
    assert not any("is the baseline" in said for said in remarks(found[11]))
    assert found[10].baseline.config == plain
    first, second = (e.label for e in found[10].experiments[1:])
    assert (
        f"baseline pre_act may be any of {first}, {second}: name one of them; no_bn is the "
        "baseline here"
    ) in remarks(found[10])


def test_seeds_that_are_not_paired_are_told() -> None:
    """Each has its own in the row, the contrast has the pairs, and a remark names the rest."""
    plain, before = config_of(file="no_bn"), config_of()
    (found,) = compare([*made(plain, SEVEN), *made(before, SEVEN)[2:], *made(before, SEVEN)[:0]])
    later = [r.model_copy(update={"seed": r.seed + 10}) for r in made(before, SEVEN)[:3]]
    (uneven,) = compare([*made(plain, SEVEN), *made(before, SEVEN)[2:], *later])
    assert [found.contrasts[0].result.sample.pairs, rows(found)["pre_act"][2]] == [5, "5"]
    assert [uneven.contrasts[0].result.sample.pairs, rows(uneven)["pre_act"][2]] == [5, "8"]
    assert ("pre_act and no_bn have different seeds: 5 are paired, 3 and 2 are not") in remarks(
        uneven
    )


def test_two_states_of_the_data_are_told_apart(runs, tmp_path: Path) -> None:
    """Each has a title and a reference of its own, and both can be drawn."""
    plain = config_of(file="no_bn")
    states = [*made(plain, SEVEN, sha256="d" * 64), *made(plain, SEVEN[:2], sha256="e" * 64)]
    states[-1] = states[-1].model_copy(update={"seed": 8})
    states[-2] = states[-2].model_copy(update={"seed": 9})
    found = compare(states)
    references = {c.reference for c in found}
    assert references == {f"{plain.protocol_id}@{letter * 8}" for letter in "de"}
    titles = [sentences.title(comparison) for comparison in found]
    assert len(set(titles)) == 2
    assert all(f"data {c.reference[-8:]}" in t for c, t in zip(found, titles, strict=True))
    folder = runs(*states)
    for reference in references:
        done = bnbench(
            "plot", "--runs-dir", folder, "--output", tmp_path / "a.svg", "--protocol", reference
        )
        assert (done.returncode, reference[-8:] in done.stderr) == (0, True), done.stderr


def test_another_training_version_is_compared_apart() -> None:
    """Its numbers mean something else, so they are never paired with these."""
    plain, before = config_of(file="no_bn"), config_of()
    others = [r.model_copy(update={"training_version": 2}) for r in made(before, SEVEN)]
    found = compare([*made(plain, SEVEN), *others])
    assert [len(c.experiments) for c in found] == [1, 1]
    assert len({c.reference for c in found}) == 2


@pytest.mark.parametrize(
    ("field", "other", "words"),
    [
        ("tensorflow", "2.22.0", "versions of TensorFlow: 2.21.0, 2.22.0"),
        ("processor", "Another", "processors: A processor, Another"),
        ("instruction_set", "sse4.2", "instruction sets: "),
    ],
)
def test_runs_made_elsewhere_are_remarked_on_accuracy(field: str, other: str, words: str) -> None:
    """Rounding differs between them: a seed is one start no more where its two runs differ."""
    plain, before = config_of(file="no_bn"), config_of()
    elsewhere = made(before, SEVEN, **{field: other})
    (found,) = compare([*made(plain, SEVEN), *elsewhere])
    (said,) = (said for said in remarks(found) if f"made with different {words}" in said)
    assert said.endswith("are not exactly paired")
    later = [r for c in (plain, before) for r in made(c, [*SEVEN, 0.88], **{field: other})[7:]]
    (whole,) = compare([*made(plain, SEVEN), *made(before, SEVEN), *later])
    (said,) = (said for said in remarks(whole) if f"made with different {words}" in said)
    assert said.endswith("so they stay exactly paired")
    (alike,) = compare([*made(plain, SEVEN), *made(before, SEVEN)])
    assert not any("made with different" in said for said in remarks(alike))


def test_two_names_of_one_network_are_said_to_be_one() -> None:
    """A copy of a config under another name is no second network."""
    first, copy = config_of(), config_of("name=copy")
    (found,) = compare([*made(first, SEVEN), *made(copy, SEVEN)])
    assert (
        f"copy and pre_act are one network under different names (id {first.experiment_id})"
    ) in remarks(found)


def test_fail_under_counts_what_diverged(runs) -> None:
    """The message has the mean; a run that diverged counts as 0, and no number is refused."""
    folder = runs(record(seed=0, accuracy=0.9), record(seed=1, accuracy=None))
    low = bnbench("compare", "--runs-dir", folder, "--fail-under", "50")
    assert (low.returncode, low.stderr) == (
        1,
        "bnbench: no_bn: mean 45.00 % is below 50 (1 of 2 runs diverged and count as 0)\n",
    )
    assert bnbench("compare", "--runs-dir", folder, "--fail-under", "45").returncode == 0
    odd = bnbench("compare", "--runs-dir", folder, "--fail-under", "nan")
    assert (odd.returncode, "--fail-under" in odd.stderr, odd.stdout) == (2, True, "")


def test_a_run_made_alone_is_a_candidate_of_its_sweep() -> None:
    """Whoever ran a value first, alone or in a sweep: it can be chosen all the same."""
    low, high = load_experiments(CONFIGS / "no_bn.yaml", ["training.learning_rate=0.001,0.1"])
    alone = config_of(file="no_bn")
    records = [r for config in (low, high, alone) for r in made(config, SEVEN)]
    tuned, *_ = compare(records)
    assert tuned.tuning
    (candidates,) = tuned.tuning.candidates
    assert candidates.grid == ((0.001,), (0.01,), (0.1,))


def test_a_value_with_fewer_seeds_is_not_chosen_silently() -> None:
    """The candidates' table has every value's seeds, and a remark says what may be wrong."""
    low, high = load_experiments(CONFIGS / "no_bn.yaml", ["training.learning_rate=0.01,0.1"])
    records = [*made(low, SEVEN), *made(high, SEVEN[:3])]
    better = [
        r.model_copy(
            update={
                "history": r.history.model_copy(
                    update={"val_accuracy": (*r.history.val_accuracy[1:], 0.99)}
                )
            }
        )
        for r in records[7:]
    ]
    tuned, *_ = compare([*records[:7], *better])
    assert tuned.tuning
    assert [row[2] for row in grids.candidates(tuned.tuning).rows] == ["7", "3"]
    assert any("chosen though its values do not have the same seeds" in s for s in remarks(tuned))


COLLIDING = (0.020311, 0.062663)  # learning rates that give no_bn one id
REFUSED = (
    "no_bn (training.learning_rate 0.020311) and no_bn (training.learning_rate 0.062663) share the "
    "experiment id a7dd2196 by chance; change one of them slightly"
)


def collide(seed: int) -> list[RunRecord]:
    """Make a record with each of the colliding rates, the second with another seed."""
    return [
        record(seed=own, overrides=[f"training.learning_rate={rate}"])
        for own, rate in zip((0, seed), COLLIDING, strict=True)
    ]


def test_one_sweep_with_two_settings_of_one_id_is_refused() -> None:
    """Neither value is taken for the other."""
    rates = ",".join(map(str, COLLIDING))
    with pytest.raises(InputError) as caught:
        load_configs(CONFIGS / "no_bn.yaml", [f"training.learning_rate={rates}"])
    assert str(caught.value) == REFUSED


def test_several_configs_with_two_settings_of_one_id_are_refused() -> None:
    """Whatever their names: also where no more than the protocol's id is shared."""
    first, second = (made.config for made in collide(0))
    with pytest.raises(InputError, match="share the experiment id a7dd2196 by chance"):
        load_configs([first, second.model_copy(update={"name": "other"})])
    other = config_of(f"training.learning_rate={COLLIDING[1]}")
    with pytest.raises(InputError, match="share the protocol id a7dd2196 by chance"):
        load_configs([first, other])
    check_same_settings([first, first.model_copy(update={"seeds": 3, "name": "copy"})])


def test_a_run_is_not_taken_for_one_of_other_settings(tmp_path: Path) -> None:
    """Whatever its name and seed, beside records in folders or packed, and with `force` too."""
    first, second = collide(0)
    store = RecordStore(tmp_path)
    store.keep(first)
    rows = np.zeros((1, 1), np.uint8)
    data = Dataset(*(rows,) * 6, 10, (28, 28), 1.0, first.data.sha256)
    trial = Trial(first.config, 0)
    assert agenda([trial], {first.config: data}, store).recorded == (first,)
    with pytest.raises(InputError) as caught:
        agenda([Trial(second.config, 0)], {second.config: data}, store)
    assert str(caught.value) == REFUSED
    other = second.config.model_copy(update={"name": "other"})
    packed = RecordStore(tmp_path / "packed")
    packed.prepare()
    pack([first], packed.folder / "a.jsonl.gz")
    for config, place in ((second.config, store), (other, store), (second.config, packed)):
        with pytest.raises(InputError, match="share the experiment id a7dd2196 by chance"):
            agenda([Trial(config, 1)], {config: data}, place, force=True)


def test_records_of_two_settings_of_one_id_are_not_compared(runs) -> None:
    """In one folder they end `compare` with 2 and one line."""
    done = bnbench("compare", "--runs-dir", runs(*collide(1)))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"bnbench: {REFUSED}\n")


def test_packed_records_of_two_settings_of_one_id_are_refused(tmp_path: Path) -> None:
    """Beside a folder's record of the same run, and beside another packed file's."""
    first, second = collide(0)
    store = RecordStore(tmp_path)
    store.keep(first)
    pack([second], tmp_path / "a.jsonl.gz")
    with pytest.raises(InputError, match="share the experiment id a7dd2196 by chance"):
        store.read_all()
    store.path(first.config, 0).unlink()
    pack([first], tmp_path / "b.jsonl.gz")
    with pytest.raises(InputError, match="share the experiment id a7dd2196 by chance"):
        store.read_all()
