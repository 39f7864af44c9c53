"""Where runs are made: each engine takes trials and yields what happens to them."""
