"""Which runs are missing, and how they are made."""
