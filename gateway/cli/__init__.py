"""The command line: ``gateway serve``, ``gateway run`` and every other command, a module each."""

from gateway.cli.main import main

__all__ = ["main"]
