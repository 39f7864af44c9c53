"""What to type to follow the advice of an answer."""

from bnbench.show.sentences import Advice

COMMANDS = Advice(more_seeds="bnbench run CONFIG... --until-settled", all_pairs="--all-pairs")
