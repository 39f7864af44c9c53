"""The hostile stores: folders that tempt a comparison to mix up, to count twice or to believe."""

import gzip
import json
import os

from bnbench.training import TRAINING_VERSION
from tests.faults.shelf import (
    SEVEN,
    STORES,
    Shelf,
    altered,
    home_of,
    place_of,
    raw,
    runs_of,
    shifted,
    store,
)

__all__ = ["STORES"]

EVIL = "[/x][link=http://evil]\x1b]0;t\x07\x1b[31m\x9b31m\u202e\u2066\u200b\r\n[bold]<b>|$`\\&%#_{}"
RATES = "training.learning_rate"


# Names, labels and ids


@store
def a_name_that_is_the_label_of_another(shelf: Shelf) -> None:
    first = runs_of("pre_act", shifted(0.02))
    shelf.put(*first, *runs_of("no_bn", SEVEN))
    shelf.put(*runs_of("pre_act", shifted(0.05), "model.activation=relu"))
    name = f"name={home_of(first[0])}"
    shelf.put(*runs_of("pre_act", shifted(-0.1), name, "model.hidden_units=[50]"))
    shelf.remarked.append("model.hidden_units")
    shelf.unclean = True


@store
def a_name_that_is_the_folder_of_another(shelf: Shelf) -> None:
    shelf.put_two()
    posing = f"name={home_of(shelf.counted[-1])}"
    shelf.put(*runs_of("post_act", shifted(-0.05), posing))
    shelf.remarked.append("are one network under different names")


@store
def a_name_that_is_the_id_of_another(shelf: Shelf) -> None:
    shelf.put_two()
    posing = f"name='{shelf.counted[-1]['experiment_id']}'"
    shelf.put(*runs_of("no_bn", shifted(-0.05), posing, "model.batch_norm.input=true"))


@store
def one_name_for_two_networks(shelf: Shelf) -> None:
    shelf.put(
        *runs_of("post_act", SEVEN, "name=net"), *runs_of("pre_act", shifted(0.01), "name=net")
    )


@store
def two_names_for_one_network(shelf: Shelf) -> None:
    shelf.put_two()
    shelf.put(*runs_of("pre_act", shifted(-0.02), "name=another"))
    shelf.remarked.append("another and pre_act are one network under different names")


@store
def names_that_differ_in_their_case(shelf: Shelf) -> None:
    shelf.put(
        *runs_of("post_act", SEVEN, "name=Net"), *runs_of("pre_act", shifted(0.01), "name=net")
    )


@store
def names_as_long_as_they_may_be(shelf: Shelf) -> None:
    for last, file, better in (("a", "post_act", 0.0), ("b", "pre_act", 0.01)):
        shelf.put(*runs_of(file, shifted(better), f"name={'n' * 63}{last}"))


@store
def names_that_look_like_options_and_numbers(shelf: Shelf) -> None:
    for name, file, better in (("1e5", "post_act", 0.0), ("0.0--strict", "pre_act", 0.01)):
        shelf.put(*runs_of(file, shifted(better), f"name='{name}'"))


# Places


@store
def copies_in_other_folders(shelf: Shelf) -> None:
    shelf.put_two()
    for content in shelf.counted[-3:]:
        reason = f"a copy of pre_act seed {content['seed']}, which counts only as"
        for folder in ("backup", "pre_act-00000000", "pre_act", f"old-{content['experiment_id']}"):
            shelf.spoil(f"{folder}/seed-{content['seed']:04d}.json", content, reason)


@store
def copies_under_other_seeds(shelf: Shelf) -> None:
    shelf.put_two()
    best = max(shelf.counted, key=lambda content: content["test_accuracy"])
    reason = f"a copy of pre_act seed {best['seed']}, which counts only as"
    for name in ("seed-0007.json", "seed-00000.json", "seed-0.json", "seed-0000 (1).json"):
        shelf.spoil(f"{home_of(best)}/{name}", best, reason)


@store
def a_folder_renamed_to_another_network(shelf: Shelf) -> None:
    shelf.put(*runs_of("pre_act", SEVEN))
    theirs = home_of(raw("post_act", 0, 0.9))
    for content in runs_of("no_bn", shifted(0.05)):
        reason = "a copy of no_bn seed"
        shelf.spoil(f"{theirs}/seed-{content['seed']:04d}.json", content, reason)


@store
def records_beside_the_folders(shelf: Shelf) -> None:
    shelf.put_two()
    shelf.spoil("seed-0000.json", raw("pre_act", 0, 0.99), "a copy of pre_act seed 0")
    shelf.spoil("no_bn.json", raw("no_bn", 0, 0.99), "a copy of no_bn seed 0")


@store
def an_id_in_capitals(shelf: Shelf) -> None:
    shelf.put_two()
    content = raw("controls/pre_act_bias", 0, 0.95)
    place = f"{content['experiment']}-{content['experiment_id'].upper()}/seed-0000.json"
    shelf.spoil(place, content, "a copy of pre_act_bias seed 0")


@store
def other_words_inside_than_the_place_says(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    home, other = home_of(good), "its name or ids do not belong to its config"
    changes = {
        "experiment": "post_act",
        "experiment_id": "00000000",
        "protocol_id": "00000000",
        "config.name": "post_act",
        "config.training.learning_rate": 0.5,
        "config.model.activation": "relu",
    }
    for seed, (key, value) in enumerate(changes.items(), 7):
        content = altered(good, {"seed": seed, key: value})
        shelf.spoil(f"{home}/seed-{seed:04d}.json", content, other)
    swept = altered(good, {"seed": 20, "swept": {RATES: 0.1}})
    shelf.spoil(f"{home}/seed-0020.json", swept, "its swept values are not those of its config")
    shelf.spoil(f"{home}/seed-0021.json", good, "a copy of pre_act seed 7")


# Versions and machines


@store
def records_of_other_schemas(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    old = "schema_version 1; this bnbench reads 2: make the run again"
    for seed, version, reason in (
        (7, 1, old),
        (8, 3, "schema_version 3; this bnbench reads 2"),
        (9, "2", "schema_version '2'; this bnbench reads 2"),
        (10, None, "schema_version None; this bnbench reads 2"),
    ):
        content = altered(good, {"seed": seed, "schema_version": version})
        shelf.spoil(place_of(content), content, reason)
    bare = {key: value for key, value in good.items() if key != "schema_version"}
    shelf.counted.append(altered(bare, {"seed": 11}))
    shelf.write(place_of(shelf.counted[-1]), json.dumps(shelf.counted[-1]))


@store
def only_records_of_schema_1(shelf: Shelf) -> None:
    for content in runs_of("pre_act", SEVEN, schema_version=2):
        old = altered(content, {"schema_version": 1})
        shelf.spoil(place_of(old), old, "schema_version 1; this bnbench reads 2")


@store
def seeds_of_another_training_version(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", SEVEN[:4]))
    other = TRAINING_VERSION + 98
    shelf.put(*runs_of("pre_act", [0.99] * 3, first=4, training_version=other))
    shelf.remarked += [f"training version {other}", f"training version {TRAINING_VERSION}"]


@store
def a_network_of_another_training_version(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    shelf.put(*runs_of("pre_act", shifted(0.05), training_version=TRAINING_VERSION + 1))
    shelf.remarked.append("is alone under this protocol")


@store
def runs_of_two_processors(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01), processor="B"))
    shelf.remarked += [
        "made with different processors: A processor, B",
        "epoch time not comparable",
    ]


@store
def runs_of_several_versions(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    for seed, field in enumerate(("tensorflow", "keras", "bnbench", "instruction_set", "device")):
        shelf.put(*runs_of("pre_act", [0.89], first=seed, **{field: "9"}))
    for words in ("TensorFlow: 2.21.0, 9", "Keras: 3.15.1, 9", "bnbench: 0.1.0, 9"):
        shelf.remarked.append(f"made with different versions of {words}")
    shelf.remarked += ["different instruction sets: 9, avx2", "different devices: 9, cpu"]


# Damage


@store
def text_that_is_no_json(shelf: Shelf) -> None:
    shelf.put_two()
    text = json.dumps(raw("pre_act", 7, 0.99))
    broken = {
        "cut": text[: len(text) // 2],
        "empty": "",
        "twice": text * 2,
        "marked": f"\ufeff{text}".encode(),
        "wide": text.encode("utf-16"),
        "latin": text.replace("A processor", "\xe9").encode("latin-1"),
        "surrogate": text.replace("A processor", r"\ud800"),
        "nested": "[" * 100_000,
        "deep": '{"a":' * 50_000 + "1" + "}" * 50_000,
        "digits": text.replace('"seed": 7', f'"seed": {"9" * 5_000}'),
        "binary": bytes(range(256)),
        "nan": text.replace("0.8,", "NaN,"),
        "infinity": text.replace("0.45,", "-Infinity,"),
    }
    for name, content in broken.items():
        shelf.spoil(f"{home_of(shelf.counted[-1])}/{name}.json", content, "not a run record")


@store
def json_that_is_no_record(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    parts = ("null", "[]", "{}", '"text"', "1e999", "true", '[{"schema_version": 2}]')
    for number, text in enumerate(parts):
        shelf.spoil(f"{home_of(good)}/{number}.json", text, "")
    for key in ("seed", "config", "history", "data", "environment", "test_correct", "swept"):
        content = {name: value for name, value in good.items() if name != key}
        shelf.spoil(f"{home_of(good)}/no-{key}.json", content, f"not a run record: {key}: ")


@store
def values_of_other_kinds(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    wrong = {
        "seed": [-1, 2**31, True, "7", 7.0, None],
        "status": ["Completed", "running", None],
        "test_accuracy": [1.5, -0.1, "0.99", True, 10**400],
        "test_loss": ["0.1", True],
        "training_version": [0, "1", 1.5],
        "compile_seconds": [-1, 1e12, None],
        "duration_seconds": [-1, 1e300],
        "history.loss": [[None] * 10, ["1"] * 10, 1],
        "history.val_accuracy": [[1.01] * 10, [-0.01] * 10],
        "history.epoch_seconds": [[0] * 10, [-1] * 10, [1e10] * 10],
        "data.rows": [[55_000, 5_000], [0, 5_000, 10_000], [2**50] * 3],
        "data.feature_scales": [[-1, 1], [1], "0"],
        "parameters.total": [-1, 2**50, 10**4_000, "1"],
        "config.training.epochs": [0, 10.0, "10"],
        "config.model.hidden_units": [[], [0], [2**40]],
        "config.seeds": [0, [1, 1]],
        "environment.cores": ["2", 2.5],
        "environment.processor": [1, None],
    }
    for key, values in wrong.items():
        for number, value in enumerate(values):
            place = f"{home_of(good)}/{key}-{number}.json"
            shelf.spoil(place, altered(good, {key: value}), "not a run record: ")


@store
def histories_of_wrong_lengths(shelf: Shelf) -> None:
    shelf.put_two()
    lists = raw("pre_act", 0, 0.99)["history"]
    for seed, (epochs, accuracy, reason) in enumerate(
        (
            (9, 0.99, "it is completed, but has no results of 10 epochs"),
            (0, 0.99, "it is completed, but has no results of 10 epochs"),
            (11, 0.99, "it is completed, but has no results of 10 epochs"),
            (11, None, "its history is longer than its 10 epochs"),
        ),
        7,
    ):
        history = {name: [0.5] * epochs for name in lists}
        content = altered(raw("pre_act", seed, accuracy), {"history": history})
        shelf.spoil(place_of(content), content, reason)
    uneven = altered(raw("pre_act", 20, 0.99), {"history.loss": [0.5] * 9})
    shelf.spoil(place_of(uneven), uneven, "the lists of its history differ in length")


@store
def results_that_do_not_fit_the_status(shelf: Shelf) -> None:
    shelf.put_two()
    completed, diverged = raw("pre_act", 7, 0.99), raw("pre_act", 7, None)
    fields = ("test_accuracy", "test_loss", "test_correct", "data.test_correct_by_class")
    for number, key in enumerate(fields):
        content = altered(completed, {key: None})
        reason = "it is completed, but has no results on the test rows"
        shelf.spoil(f"{home_of(content)}/without-{number}.json", content, reason)
        value = completed["data"][key[5:]] if key.startswith("data.") else completed[key]
        content = altered(diverged, {key: value})
        reason = "it diverged, but has results on the test rows"
        shelf.spoil(f"{home_of(content)}/with-{number}.json", content, reason)
    claimed = altered(completed, {"status": "diverged"})
    shelf.spoil(f"{home_of(claimed)}/claimed.json", claimed, "it diverged, but has results")


@store
def accuracies_that_the_rows_do_not_bear_out(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.88)
    share, bits = "its test accuracy is not the share of correct", "its test_correct is not one bit"
    classes = "the correct test rows of its classes do not fit"
    fits = good["data"]["test_correct_by_class"]
    for number, (changes, reason) in enumerate(
        (
            ({"test_accuracy": 0.99}, share),
            ({"test_accuracy": 0.8800000001}, share),
            ({"test_correct": raw("pre_act", 7, 0.99)["test_correct"]}, share),
            ({"test_correct": ""}, bits),
            ({"test_correct": "no base64!"}, bits),
            ({"test_correct": good["test_correct"][:-8]}, bits),
            ({"test_correct": f"{good['test_correct'][:-4]}////"}, bits),
            ({"data.test_correct_by_class": [*fits[:-1], fits[-1] + 1]}, classes),
            ({"data.test_correct_by_class": fits[:-1]}, classes),
            ({"data.test_correct_by_class": [8_800, *[0] * 9]}, classes),
            ({"data.test_rows_by_class": [1_000] * 9}, "it does not count the test rows of every"),
            ({"data.test_rows_by_class": [999] * 10}, "the test rows of its classes are not all"),
            ({"data.feature_scales": [2, 1]}, "its feature scales are not in order"),
        )
    ):
        place = f"{home_of(good)}/{number}.json"
        shelf.spoil(place, altered(good, changes), reason)


@store
def parameters_that_do_not_add_up(shelf: Shelf) -> None:
    shelf.put_two()
    for seed, key in enumerate(("total", "trainable", "kernel", "moving_mean"), 7):
        content = altered(raw("pre_act", seed, 0.99), {f"parameters.{key}": 1})
        shelf.spoil(place_of(content), content, "its parameters do not add up")


@store
def times_that_are_none(shelf: Shelf) -> None:
    shelf.put_two()
    times = ("yesterday", "", EVIL, "2026-13-01T00:00:00+00:00", "2026-11-23T10:00:00+05:00")
    times += ("2026-11-23", "2026-11-23T10:00:00", "99999-01-01T00:00:00+00:00", "9" * 10_000)
    for seed, time in enumerate(times, 7):
        content = altered(raw("pre_act", seed, 0.99), {"started_at": time})
        shelf.spoil(place_of(content), content, "its started_at is no time in UTC")


@store
def times_at_the_ends_of_the_calendar(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN, started_at="0001-01-01T00:00:00+00:00"))
    shelf.put(*runs_of("pre_act", shifted(0.01), started_at="9999-12-31T23:59:59.999999+00:00"))
    shelf.remarked.append("not run in turns with post_act")


@store
def keys_that_stand_twice(shelf: Shelf) -> None:
    """The last counts, as in every JSON reader, and must fit all others like any value."""
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    text = json.dumps(good)
    shelf.counted.append(good)
    shelf.write(place_of(good), text.replace('"seed": 7', '"seed": 3, "seed": 7'))
    twice = text.replace('"test_accuracy": 0.99', '"test_accuracy": 0.99, "test_accuracy": 0.5')
    place = place_of(altered(good, {"seed": 8}))
    shelf.spoil(
        place, twice.replace('"seed": 7', '"seed": 8'), "its test accuracy is not the share"
    )


@store
def keys_that_nobody_knows(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.89)
    shelf.put({**good, "notes": {"a": [None] * 50}, EVIL: EVIL})
    content = altered(good, {"seed": 8, "config.training.warmup": 1})
    shelf.spoil(place_of(content), content, "not a run record: config.training.warmup: ")


# Data


@store
def networks_on_two_states_of_the_data(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN, data_sha256="d" * 64))
    shelf.put(*runs_of("pre_act", shifted(0.05), data_sha256="e" * 64))
    shelf.remarked += ["data dddddddd", "data eeeeeeee", "is alone under this protocol"]


@store
def seeds_on_two_states_of_the_data(shelf: Shelf) -> None:
    for first, letter in ((0, "d"), (7, "e")):
        for file, better in (("post_act", 0.0), ("pre_act", 0.01 if first else -0.01)):
            changes = {"first": first, "data_sha256": letter * 64}
            shelf.put(*runs_of(file, shifted(better), **changes))
    shelf.remarked += ["data dddddddd", "data eeeeeeee"]


@store
def states_of_the_data_that_look_alike(shelf: Shelf) -> None:
    for first, end in ((0, "0"), (7, "1")):
        shelf.put(*runs_of("pre_act", SEVEN, first=first, data_sha256="d" * 63 + end))
    identity = raw("pre_act", 0, 0.9)["protocol_id"]
    shelf.remarked += [f"Protocol {identity}@dddddddd:", f"Protocol {identity}@dddddddd-2:"]


@store
def one_state_of_the_data_with_two_sizes(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    shelf.put(*runs_of("pre_act", shifted(0.05), rows=(54_000, 5_000, 10_000)))
    shelf.remarked.append("is alone under this protocol")


# Seeds


@store
def unequal_seeds(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01), first=3))
    shelf.remarked.append("have different seeds: 4 are paired, 3 and 3 stand alone")


@store
def no_seed_in_common(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.05), first=7))
    shelf.remarked.append("pre_act and post_act have no seed in common")


@store
def a_single_seed(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [0.88]), *runs_of("pre_act", [0.9]))
    shelf.remarked.append("1 pair; a verdict needs at least 6")


@store
def a_single_run(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [0.88]))
    shelf.remarked.append("is alone under this protocol")


@store
def five_seeds(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN[:5]), *runs_of("pre_act", shifted(0.1)[:5]))
    shelf.remarked.append("5 pairs; a verdict needs at least 6")


@store
def the_largest_seeds(shelf: Shelf) -> None:
    first = 2**31 - 7
    shelf.put(*runs_of("post_act", SEVEN, first=first))
    shelf.put(*runs_of("pre_act", shifted(0.01), first=first))


@store
def values_without_any_deviation(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [0.88] * 7), *runs_of("pre_act", [0.88] * 7))
    shelf.remarked.append("Equivalent to post_act")


@store
def everything_right_and_everything_wrong(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [1.0] * 7), *runs_of("pre_act", [0.0] * 7))
    shelf.remarked.append("Worse than post_act")


@store
def a_difference_of_one_row(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.0001)))
    shelf.remarked.append("Better than post_act: pre_act (below the margin)")


# Divergence


@store
def every_run_diverged(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [None] * 7), *runs_of("pre_act", [None] * 7))
    shelf.remarked += ["7 of 7 runs diverged", "No run completed"]


@store
def half_of_the_runs_diverged(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [*SEVEN, *SEVEN]))
    shelf.put(*runs_of("pre_act", [*shifted(0.05), *[None] * 7]))
    shelf.remarked.append("pre_act: 7 of 14 runs diverged; its mean is over survivors")


@store
def the_baseline_diverged(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [None] * 7), *runs_of("pre_act", SEVEN))
    shelf.remarked += ["post_act: 7 of 7 runs diverged", "0 pairs; a verdict needs"]


@store
def runs_that_diverged_at_other_seeds(shelf: Shelf) -> None:
    odd = [value if seed % 2 else None for seed, value in enumerate(SEVEN * 2)]
    even = [None if seed % 2 else value for seed, value in enumerate(SEVEN * 2)]
    shelf.put(*runs_of("post_act", odd), *runs_of("pre_act", even))
    shelf.remarked += ["7 of 14 runs diverged", "0 pairs; a verdict needs"]


@store
def runs_that_diverged_late(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    for content in runs_of("pre_act", [None] * 7):
        epochs = content["seed"] + 3
        lists = {"accuracy": 0.1, "val_loss": 1e300, "val_accuracy": 0.9, "epoch_seconds": 1.0}
        history = {name: [value] * epochs for name, value in lists.items()}
        history["loss"] = [10.0**power for power in range(0, 30 * epochs, 30)]
        shelf.put(altered(content, {"history": history}))
    shelf.remarked.append("pre_act: 7 of 7 runs diverged")


# Sweeps


def put_sweep(shelf: Shelf, file: str, rates: dict[float, list[dict]]) -> None:
    """Put the runs of one sweep over learning rates; each run has its keyword arguments."""
    for rate, runs in rates.items():
        settings = (f"{RATES}={rate}", f"swept=[{RATES}]")
        shelf.put(*(raw(file, seed, 0.88, *settings, **one) for seed, one in enumerate(runs)))


def chosen(shelf: Shelf, rate: float, file: str = "pre_act") -> None:
    shelf.chosen.append(raw(file, 0, 0.9, f"{RATES}={rate}")["experiment_id"])


@store
def a_sweep_over_uneven_grids(shelf: Shelf) -> None:
    put_sweep(shelf, "post_act", {0.01: [{"val": 0.8}] * 6, 0.02: [{"val": 0.81}] * 6})
    put_sweep(shelf, "pre_act", {0.1 * n: [{"val": 0.8 + n / 100}] * 6 for n in range(1, 6)})
    chosen(shelf, 0.02, "post_act")
    chosen(shelf, 0.5)
    shelf.remarked += ["not all experiments were tuned over the same values", "does best at the"]


@store
def fewer_seeds_at_the_best_value(shelf: Shelf) -> None:
    put_sweep(shelf, "pre_act", {0.01: [{"val": 0.8}] * 7, 0.1: [{"val": 0.99}] * 3})
    chosen(shelf, 0.1)
    shelf.remarked.append("was chosen with 3 seeds, though other values have more")


@store
def values_of_a_sweep_without_a_seed_in_common(shelf: Shelf) -> None:
    put_sweep(shelf, "pre_act", {0.01: [{"val": 0.8}] * 3})
    settings = (f"{RATES}=0.1", f"swept=[{RATES}]")
    shelf.put(*(raw("pre_act", seed, 0.88, *settings, val=0.9) for seed in (5, 6, 7)))
    chosen(shelf, 0.1)
    shelf.remarked.append("no seed that all its values completed")


@store
def a_value_of_a_sweep_that_always_diverged(shelf: Shelf) -> None:
    """Which must not make the others be compared by seeds of which some are easier."""
    put_sweep(shelf, "pre_act", {0.01: [{"val": 0.80}] * 3 + [{"val": 0.98}] * 4})
    put_sweep(shelf, "pre_act", {0.1: [{"val": 0.81}] * 3})
    settings = (f"{RATES}=10.0", f"swept=[{RATES}]")
    shelf.put(*runs_of("pre_act", [None] * 7, *settings))
    chosen(shelf, 0.1)
    shelf.remarked.append("was chosen with 3 seeds, though other values have more")


@store
def a_sweep_over_paths_that_look_alike(shelf: Shelf) -> None:
    for path, letter in (("x/y.npz", "d"), ("x_y.npz", "e")):
        settings = (f"data.dataset={path}", "swept=[data.dataset]")
        shelf.put(*runs_of("pre_act", SEVEN, *settings, data_sha256=letter * 64))


@store
def a_sweep_over_layers_that_look_alike(shelf: Shelf) -> None:
    for activation in ("[elu, relu]", "[relu, elu]"):
        settings = (f"model.activation={activation}", "swept=[model.activation]")
        shelf.put(*runs_of("pre_act", SEVEN, *settings))
    shelf.unclean = True


# Text and numbers from outside


@store
def texts_that_act_on_a_terminal(shelf: Shelf) -> None:
    fields = ("tensorflow", "keras", "bnbench", "python", "platform", "processor")
    fields += ("instruction_set", "engine", "device")
    contents = runs_of("post_act", SEVEN, **dict.fromkeys(fields, EVIL), data_sha256=EVIL)
    contents += runs_of("pre_act", shifted(0.01), data_sha256=EVIL, processor=f"{EVIL}2")
    for content in contents:
        changes = {"config.description": EVIL, "weights_sha256": EVIL}
        shelf.put(altered(content, changes))
    shelf.remarked.append(r"\x1b[31m")


@store
def texts_that_act_in_a_spreadsheet(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN, processor="=cmd|'/c calc'!A0", device="@x"))
    shelf.put(*runs_of("pre_act", shifted(0.01), processor='","a\n=1', tensorflow="+1\t=2"))
    shelf.remarked.append("made with different processors")


@store
def texts_without_end(shelf: Shelf) -> None:
    shelf.put(
        *runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01), processor="x" * 50_000)
    )
    shelf.remarked.append("made with different processors")


@store
def paths_with_markup(shelf: Shelf) -> None:
    for name in ("post_act", "pre_act"):
        dataset = "data.dataset=a$b$^_%&#{}~<script>[red]|`*.npz"
        shelf.put(*runs_of(name, SEVEN, f"{dataset}"))


@store
def the_largest_losses(shelf: Shelf) -> None:
    lists = {name: [1e308] * 10 for name in ("loss", "val_loss")}
    changes = {f"history.{name}": values for name, values in lists.items()}
    changes["test_loss"] = -1e308
    for content in (*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01))):
        shelf.put(altered(content, changes))


@store
def the_shortest_and_the_longest_epochs(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN, epoch_seconds=1e-9))
    shelf.put(*runs_of("pre_act", shifted(0.01), epoch_seconds=1e9))


@store
def the_largest_counts(shelf: Shelf) -> None:
    parts = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
    sizes = dict.fromkeys(parts, 2**36)
    sizes |= {"total": 6 * 2**36, "trainable": 4 * 2**36, "non_trainable": 2 * 2**36}
    shelf.put(*runs_of("post_act", SEVEN, cores=2**62, jobs=2**62))
    for content in runs_of("pre_act", shifted(0.01), cores=2**62, jobs=2**62):
        shelf.put(altered(content, {"parameters": sizes, "data.feature_scales": [0, 1e308]}))


# Files that are none


@store
def links_of_every_kind(shelf: Shelf) -> None:
    shelf.put_two()
    home = shelf.folder / home_of(shelf.counted[-1])
    outside = shelf.folder.parent / "outside"
    outside.mkdir()
    content = raw("pre_act", 7, 0.89)
    (outside / "mine.json").write_text(json.dumps(content))
    (home / "seed-0007.json").symlink_to(outside / "mine.json")  # in the place where it belongs
    shelf.counted.append(content)
    for name, target in {
        "loop.json": home / "loop.json",
        "broken.json": shelf.folder / "nowhere",
        "seed-0008.json": home / "seed-0000.json",
        "folder.json": outside,
        "root.json": "/",
        "device.json": "/dev/zero",
        "passwords.json": "/etc/passwd",
    }.items():
        (home / name).symlink_to(target)
        shelf.warned.append(f"{home / name}: skipped: ")
    (shelf.folder / "again").symlink_to(shelf.folder)
    shelf.warned.append(f"{shelf.folder / 'again'}/")


@store
def what_cannot_be_read(shelf: Shelf) -> None:
    shelf.put_two()
    home = shelf.folder / home_of(shelf.counted[-1])
    os.mkfifo(home / "pipe.json")
    (home / "seed-0007.json").symlink_to("/proc/self/mem")
    with (home / "enormous.json").open("wb") as file:
        file.truncate(2**40)
    os.mkfifo(shelf.folder / "pipe.jsonl.gz")
    for path in (home / "pipe.json", home / "enormous.json", shelf.folder / "pipe.jsonl.gz"):
        shelf.warned.append(f"{path}: skipped: not a run record")
    shelf.warned.append(f"{home / 'seed-0007.json'}: skipped: cannot be read: ")


@store
def a_folder_in_the_place_of_a_record(shelf: Shelf) -> None:
    shelf.put_two()
    for seed in (7, 8):
        (shelf.folder / place_of(raw("pre_act", seed, 0.9)) / "deeper").mkdir(parents=True)
    shelf.warned.append("seed-0007.json: skipped: not a run record")
    shelf.blocked = "pre_act"


@store
def a_file_in_the_place_of_a_folder(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    shelf.spoil(home_of(raw("pre_act", 0, 0.9)), "mine", "not a run record")
    shelf.blocked = "pre_act"


@store
def files_of_others(shelf: Shelf) -> None:
    shelf.put_two()
    home = home_of(shelf.counted[-1])
    for place in ("notes.txt", "a/b/c.txt", f"{home}/seed-0000.json.bak", f"{home}/Copy.json"):
        shelf.write(place, "mine")
    for named in ("notes.txt", "a/b", f"{home}/seed-0000.json.bak", f"{home}/Copy.json"):
        shelf.warned.append(f"{shelf.folder / named}: skipped: ")


@store
def what_belongs_to_runs(shelf: Shelf) -> None:
    shelf.put_two()
    home = home_of(shelf.counted[-1])
    events = f"{home}/seed-0000/events.out.tfevents.0.bnbench"
    for place in ("README.md", f"{home}/seed-0000.keras", events, f"tb/{events}", ".git/x.json"):
        shelf.write(place, "{}")


@store
def names_of_control_characters(shelf: Shelf) -> None:
    shelf.put_two()
    home = home_of(shelf.counted[-1])
    for name in ("\x1b[2J\n\rwarning: all is well.json", "\u202e\x9b.json", "[bold]<b>$x$|`.json"):
        shelf.write(f"{home}/{name}", "{}")
    with open(os.fsencode(shelf.folder / home) + b"/\xff\x9b\x1b.json", "wb") as file:
        file.write(b"{}")
    shelf.write("\x1b[31m-00000000/seed-0000.json", "{}")
    shelf.write("\x1b]0;.jsonl.gz", gzip.compress(b"{}\n"))
    shelf.warned += [r"\x1b[2J\n\rwarning: all is well.json", r"\u202e\x9b.json", r"\x1b[31m-0000"]
    shelf.warned += [r"\x1b]0;.jsonl.gz:1: skipped: "]


# Packed records


@store
def packed_records_alone(shelf: Shelf) -> None:
    shelf.counted += [*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01))]
    shelf.pack("study.jsonl.gz", shelf.counted)


@store
def a_packed_file_with_damaged_lines(shelf: Shelf) -> None:
    shelf.counted += [*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01))]
    lines = [json.dumps(content) for content in shelf.counted]
    lines[3:3] = ["{}", "", lines[0][:500], json.dumps(altered(shelf.counted[0], {"seed": -1}))]
    shelf.pack("study.jsonl.gz", lines)
    path = shelf.folder / "study.jsonl.gz"
    shelf.warned += [f"{path}:{line}: skipped: not a run record" for line in (4, 5, 6, 7)]


@store
def a_packed_file_cut_short(shelf: Shelf) -> None:
    shelf.put_two()
    whole = gzip.compress(b"".join(json.dumps(c).encode() + b"\n" for c in shelf.counted))
    shelf.write("study.jsonl.gz", whole[:-20])
    shelf.write("text.jsonl.gz", "no gzip at all")
    shelf.warned += [": skipped: it is no whole gzip file", f"{shelf.folder}/text.jsonl.gz:1: "]


@store
def packed_records_against_those_in_folders(shelf: Shelf) -> None:
    shelf.put_two()
    other = [altered(raw("pre_act", 0, 0.99), {}), raw("no_bn", 0, 0.5)]
    shelf.pack("a.jsonl.gz", other)
    shelf.pack("b.jsonl.gz", [raw("no_bn", 0, 0.6), shelf.counted[0]])
    shelf.counted.append(other[1])
    shelf.warned += [
        f"{shelf.folder / 'a.jsonl.gz'}:1: skipped: ",
        f"{shelf.folder / 'b.jsonl.gz'}:1: skipped: {shelf.folder / 'a.jsonl.gz'}:2 has another",
    ]
    shelf.unclean = True


@store
def a_packed_file_of_empty_lines(shelf: Shelf) -> None:
    shelf.put_two()
    shelf.write("bomb.jsonl.gz", gzip.compress(b"\n" * 1_000_000))
    shelf.warned.append("bomb.jsonl.gz:100: skipped: the rest too")


@store
def packed_records_where_no_one_looks(shelf: Shelf) -> None:
    shelf.put_two()
    line = json.dumps(raw("no_bn", 0, 0.99)).encode() + b"\n"
    for place in ("deeper/study.jsonl.gz", "study.jsonl.GZ", "study.json.gz"):
        shelf.write(place, gzip.compress(line))
        shelf.warned.append(f"{shelf.folder / place}: skipped: not a run record")
    shelf.spoil("study.jsonl", line, "a copy of no_bn seed 0")


# Nothing at all


@store
def nothing_but_damage(shelf: Shelf) -> None:
    content = raw("pre_act", 0, 0.9)
    shelf.spoil(place_of(content), "{", "not a run record: it is not whole JSON")
    shelf.spoil("seed-0000.json", content, "a copy of pre_act seed 0")


@store
def an_empty_folder(shelf: Shelf) -> None:
    shelf.folder.mkdir(exist_ok=True)
