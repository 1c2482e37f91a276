"""The command line: ``gateway serve | demo | emulator | translate | config | health``."""

from gateway.cli.main import main

__all__ = ["main"]
