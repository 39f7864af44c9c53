"""Stores of sound records that tempt a comparison to say more than they bear out."""

from tests.faults.stores.shelf import EVIL, SEVEN, Shelf, altered, raw, runs_of, shifted, store

RATES = "training.learning_rate"


# Data


@store
def networks_on_two_states_of_the_data(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN, data_sha256="d" * 64))
    shelf.put(*runs_of("pre_act", shifted(0.05), data_sha256="e" * 64))
    shelf.remarked += ["data dddddddd", "data eeeeeeee", "is the only experiment of this protocol"]


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
    shelf.remarked.append("is the only experiment of this protocol")


# Seeds


@store
def unequal_seeds(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01), first=3))
    shelf.remarked.append("have different seeds: 4 are paired, 3 and 3 are not")


@store
def no_seed_in_common(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.05), first=7))
    shelf.remarked.append("have different seeds: 0 are paired")


@store
def a_single_seed(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [0.88]), *runs_of("pre_act", [0.9]))
    shelf.remarked.append("1 paired seed; verdicts begin at 10 seeds")


@store
def a_single_run(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [0.88]))
    shelf.remarked.append("is the only experiment of this protocol")


@store
def five_seeds(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN[:5]), *runs_of("pre_act", shifted(0.1)[:5]))
    shelf.remarked.append("5 paired seeds; verdicts begin at 10 seeds")


@store
def the_largest_seeds(shelf: Shelf) -> None:
    first = 2**31 - 7
    shelf.put(*runs_of("post_act", SEVEN, first=first))
    shelf.put(*runs_of("pre_act", shifted(0.01), first=first))


@store
def values_without_any_deviation(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [0.88] * 12), *runs_of("pre_act", [0.88] * 12))
    shelf.remarked.append("Before and after are equivalent")


@store
def everything_right_and_everything_wrong(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [1.0] * 12), *runs_of("pre_act", [0.0] * 12))
    shelf.remarked.append(
        "No comparison of before and after: pre_act fails to train at these settings"
    )
    shelf.unclean = True


@store
def a_difference_of_one_row_and_once_of_two(shelf: Shelf) -> None:
    twelve, more = [*SEVEN, *SEVEN[:5]], shifted(0.0001)
    twice = [more[0] + 0.0001, *more[1:], *more[:5]]
    shelf.put(*runs_of("post_act", twelve), *runs_of("pre_act", twice))
    shelf.remarked.append("Before is better than after by 0.01 points")
    shelf.remarked.append("(less than the margin), decided at 10 seeds")


# Divergence


@store
def every_run_diverged(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [None] * 7), *runs_of("pre_act", [None] * 7))
    shelf.remarked += ["pre_act fails to train at these settings: each of its 7 runs diverged"]
    shelf.remarked.append("No run completed")
    shelf.unclean = True


@store
def half_of_the_runs_diverged(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [*SEVEN, *SEVEN]))
    shelf.put(*runs_of("pre_act", [*shifted(0.05), *[None] * 7]))
    shelf.remarked.append(
        "pre_act: 7 of 14 runs diverged; its mean is over the runs that completed"
    )


@store
def the_baseline_diverged(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", [None] * 7), *runs_of("pre_act", SEVEN))
    shelf.remarked.append("post_act fails to train at these settings: each of its 7 runs diverged")
    shelf.remarked.append("0 paired seeds; verdicts begin at 10 seeds")
    shelf.unclean = True


@store
def runs_that_diverged_at_other_seeds(shelf: Shelf) -> None:
    odd = [value if seed % 2 else None for seed, value in enumerate(SEVEN * 2)]
    even = [None if seed % 2 else value for seed, value in enumerate(SEVEN * 2)]
    shelf.put(*runs_of("post_act", odd), *runs_of("pre_act", even))
    shelf.remarked += ["7 of 14 runs diverged", "after minus before is unknown; next look at 15"]


@store
def runs_that_diverged_late(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    for content in runs_of("pre_act", [None] * 7):
        epochs = content["seed"] + 3
        lists = {"accuracy": 0.1, "val_loss": 1e300, "val_accuracy": 0.9, "epoch_seconds": 1.0}
        history = {name: [value] * epochs for name, value in lists.items()}
        history["loss"] = [10.0**power for power in range(0, 30 * epochs, 30)]
        shelf.put(altered(content, {"history": history}))
    shelf.remarked.append("pre_act fails to train at these settings: each of its 7 runs diverged")
    shelf.unclean = True


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
    shelf.unclean = True


@store
def fewer_seeds_at_the_best_value(shelf: Shelf) -> None:
    put_sweep(shelf, "pre_act", {0.01: [{"val": 0.8}] * 7, 0.1: [{"val": 0.99}] * 3})
    chosen(shelf, 0.1)
    shelf.remarked.append("was chosen though its values do not have the same seeds")
    shelf.unclean = True


@store
def values_of_a_sweep_without_a_seed_in_common(shelf: Shelf) -> None:
    put_sweep(shelf, "pre_act", {0.01: [{"val": 0.8}] * 3})
    settings = (f"{RATES}=0.1", f"swept=[{RATES}]")
    shelf.put(*(raw("pre_act", seed, 0.88, *settings, val=0.9) for seed in (5, 6, 7)))
    chosen(shelf, 0.1)
    shelf.remarked.append("no seed that all its values completed")
    shelf.unclean = True


@store
def a_value_of_a_sweep_that_always_diverged(shelf: Shelf) -> None:
    """Which must not make the others be compared by seeds of which some are easier."""
    put_sweep(shelf, "pre_act", {0.01: [{"val": 0.80}] * 3 + [{"val": 0.98}] * 4})
    put_sweep(shelf, "pre_act", {0.1: [{"val": 0.81}] * 3})
    settings = (f"{RATES}=10.0", f"swept=[{RATES}]")
    shelf.put(*runs_of("pre_act", [None] * 7, *settings))
    chosen(shelf, 0.1)
    shelf.remarked.append("was chosen though its values do not have the same seeds")
    shelf.unclean = True


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
    fields += ("instruction_set", "engine", "device", "numpy")
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
    shelf.unclean = True  # the features of the baseline reach too far
