"""What to type to do what an answer advises."""

from bnbench.evidence.advice import Advice, Sweep

RUN = "repeat the run with"  # and with its other options, which make the networks


def _sweep(sweep: Sweep) -> str:
    settings = (f"--set {key}={','.join(map(str, values))}" for key, values in sweep.items())
    return " ".join([RUN, *settings])


COMMANDS = Advice(
    more_seeds=f"{RUN} --until-settled",
    seeds=lambda seeds: f"{RUN} --seeds {seeds}",
    all_pairs="bnbench compare --all-pairs",
    protocol="bnbench compare --protocol ID, or all",
    rates=f"{RUN} --set training.learning_rate=0.001,0.003,0.01,0.03",
    standardize=f"{RUN} --set data.standardize=true",
    balanced="bnbench compare --metric test_balanced_accuracy",
    recalls="bnbench report, which has the recall of every class",
    sweep=_sweep,
    set=lambda key, value: f"{RUN} --set {key}={value}",
)
