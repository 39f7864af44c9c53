"""Stores whose names, places, versions or machines tempt a comparison to mix up."""

from bnbench.training import TRAINING_VERSION
from tests.faults.stores.shelf import (
    IMPLIED,
    SEVEN,
    Shelf,
    altered,
    home_of,
    place_of,
    raw,
    runs_of,
    shifted,
    store,
)

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
    home = home_of(good)
    changes = (
        ("experiment", "experiment", "post_act"),
        ("experiment_id", "experiment_id", "00000000"),
        ("protocol_id", "protocol_id", "00000000"),
        ("experiment", "config.name", "post_act"),
        ("experiment_id", "config.training.learning_rate", 0.5),
        ("experiment_id", "config.model.activation", "relu"),
        ("swept", "swept", {RATES: 0.1}),
    )
    for seed, (named, key, value) in enumerate(changes, 7):
        content = altered(good, {"seed": seed, key: value})
        reason = f"its {named} contradicts its other fields"
        shelf.spoil(f"{home}/seed-{seed:04d}.json", content, reason)
    shelf.spoil(f"{home}/seed-0021.json", good, "a copy of pre_act seed 7")


@store
def an_edited_config_without_ids(shelf: Shelf) -> None:
    shelf.put_two()
    for seed, (key, value) in enumerate({RATES: 0.5, "name": "no_bn"}.items(), 7):
        content = altered(raw("pre_act", seed, 0.99), {f"config.{key}": value})
        stored = {name: value for name, value in content.items() if name not in IMPLIED}
        name = content["config"]["name"]
        shelf.spoil(place_of(content), stored, f"a copy of {name} seed {seed}, which counts only")


# Versions and machines


@store
def records_of_other_schemas(shelf: Shelf) -> None:
    shelf.put_two()
    good = raw("pre_act", 7, 0.99)
    old = "schema_version 1; this bnbench reads 2 and 3: make the run again"
    for seed, version, reason in (
        (7, 1, old),
        (8, 4, "schema_version 4; this bnbench reads 2 and 3"),
        (9, "2", "schema_version '2'; this bnbench reads 2 and 3"),
        (10, None, "schema_version None; this bnbench reads 2 and 3"),
    ):
        content = altered(good, {"seed": seed, "schema_version": version})
        shelf.spoil(place_of(content), content, reason)
    bare = {key: value for key, value in good.items() if key != "schema_version"}
    shelf.spoil(shelf.free_place(), bare, "not a run record: it has no schema_version")


@store
def only_records_of_schema_1(shelf: Shelf) -> None:
    for content in runs_of("pre_act", SEVEN):
        old = altered(content, {"schema_version": 1})
        shelf.spoil(place_of(old), old, "schema_version 1; this bnbench reads 2 and 3")


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
    shelf.remarked.append("is the only experiment of this protocol")


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
