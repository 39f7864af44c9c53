"""Where runs are made: each engine takes trials and gives back what became of them."""
