"""The command line: one file a command. Each parses, calls one stage and prints.

Nothing heavy is imported before a command runs: `mtpkd --help` starts as fast as an empty typer program.
"""
