"""The parts of the benchmark; each measures and returns its figures."""
