"""``python -m gateway.cli.lifeline MODULE ARGUMENT…``: a module that ends when its parent does.

Standard input is the lifeline: it ends with the process that holds the other end, however that
one ended, and then this one gets a SIGTERM.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run the module of the first argument as ``python -m`` would."""
    threading.Thread(target=_end_with_parent, daemon=True, name="lifeline").start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin: its lock, held at the end, is a fatal error
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
