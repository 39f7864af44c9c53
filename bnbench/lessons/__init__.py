"""A network explained in words, and as a plain Keras program."""
