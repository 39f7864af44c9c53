"""What to type to do what an answer advises."""

from bnbench.show.advice import Advice

COMMANDS = Advice(
    more_seeds="bnbench run CONFIG... --until-settled",
    all_pairs="--all-pairs",
    protocol="--protocol ID or all",
    rates="bnbench run CONFIG... --set training.learning_rate=0.001,0.003,0.01,0.03",
    standardize="bnbench run CONFIG... --set data.standardize=true",
    margin="--margin, or more test rows",
    balanced="--metric test_balanced_accuracy",
    wider="bnbench run CONFIG... --set {key}={values}",
)
