"""The command line: commands, their options, and what a shell completes them to."""
