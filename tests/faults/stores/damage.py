"""Stores with files that begin like records and are none."""

import json

from tests.faults.stores.shelf import (
    EVIL,
    SEVEN,
    Shelf,
    altered,
    place_of,
    raw,
    runs_of,
    shifted,
    store,
)

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
    for content in broken.values():
        shelf.spoil(shelf.free_place(), content, "not a run record")


@store
def json_that_is_no_record(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    parts = ("null", "[]", "{}", '"text"', "1e999", "true", '[{"schema_version": 2}]')
    for text in parts:
        shelf.spoil(shelf.free_place(), text, "not a run record")
    for key in ("seed", "config", "history", "data", "environment", "test_correct"):
        content = {name: value for name, value in good.items() if name != key}
        shelf.spoil(shelf.free_place(), content, f"not a run record: {key}: ")


@store
def values_of_other_kinds(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    wrong = {
        "seed": [-1, 2**31, True, "7", 7.0, None],
        "test_loss": ["0.1", True],
        "training_version": [0, "1", 1.5],
        "compile_seconds": [-1, 1e12, None],
        "duration_seconds": [-1, 1e300],
        "history.loss": [[None] * 10, ["1"] * 10, 1],
        "history.val_accuracy": [[1.01] * 10, [-0.01] * 10],
        "history.epoch_seconds": [[0] * 10, [-1] * 10, [1e10] * 10],
        "data.rows": [[55_000, 5_000], [0, 5_000, 10_000], [2**50] * 3],
        "data.feature_scales": [[-1, 1], [1], "0"],
        "parameters.kernel": [-1, 2**50, 10**4_000, "1"],
        "config.training.epochs": [0, 10.0, "10"],
        "config.model.hidden_units": [[], [0], [2**40]],
        "config.seeds": [0, [1, 1]],
        "environment.cores": ["2", 2.5],
        "environment.processor": [1, None],
    }
    for key, values in wrong.items():
        for value in values:
            shelf.spoil(shelf.free_place(), altered(good, {key: value}), "not a run record: ")


@store
def stated_values_that_the_others_do_not_imply(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    wrong = {
        "status": ["Completed", "running", "diverged", None],
        "test_accuracy": [1.5, -0.1, "0.99", True, 10**400, 0.9900000001, None],
        "parameters.total": [-1, 2**50, 10**4_000, "1"],
        "parameters.trainable": [1],
        "parameters.non_trainable": [1],
        "swept": [None, {"training.epochs": 10}],
    }
    for key, values in wrong.items():
        reason = f"its {key.rpartition('.')[2]} contradicts its other fields"
        for value in values:
            shelf.spoil(shelf.free_place(), altered(good, {key: value}), reason)


@store
def histories_of_wrong_lengths(shelf: Shelf) -> None:
    shelf.put_two()
    lists = raw("pre_act", 0, 0.99)["history"]
    for seed, (epochs, accuracy, reason) in enumerate(
        (
            (9, 0.99, "its history is of 9 epochs, its config asks for 10"),
            (0, 0.99, "its history is of 0 epochs, its config asks for 10"),
            (11, 0.99, "its history is of 11 epochs, its config asks for 10"),
            (11, None, "its history is of 11 epochs, its config asks for 10"),
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
    some = "it has some results on the test rows, but not all"
    for key in ("test_loss", "test_correct", "data.test_correct_by_class"):
        shelf.spoil(shelf.free_place(), altered(completed, {key: None}), some)
        value = completed["data"][key[5:]] if key.startswith("data.") else completed[key]
        reason = "its history is of 0 epochs" if key == "test_correct" else some
        shelf.spoil(shelf.free_place(), altered(diverged, {key: value}), reason)


@store
def accuracies_that_the_rows_do_not_bear_out(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.88)
    bits = "its test_correct is not one bit"
    classes = "the correct test rows of its classes do not fit"
    fits = good["data"]["test_correct_by_class"]
    for changes, reason in (
        ({"test_correct": raw("pre_act", 7, 0.99)["test_correct"]}, classes),
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
    ):
        shelf.spoil(shelf.free_place(), altered(good, changes), reason)


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
    shelf.remarked.append("runs not interleaved with those of pre_act")


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
    shelf.spoil(place, twice.replace('"seed": 7', '"seed": 8'), "its test_accuracy contradicts its")


@store
def keys_that_nobody_knows(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.89)
    shelf.put({**good, "notes": {"a": [None] * 50}, EVIL: EVIL})
    content = altered(good, {"seed": 8, "config.training.warmup": 1})
    shelf.spoil(place_of(content), content, "not a run record: config.training.warmup: ")
