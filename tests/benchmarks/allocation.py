"""The allocation of memory that a worker process has, for a benchmark that measures its work."""

import os
import sys

from gateway.runner.workers import ALLOCATOR


def as_in_a_worker() -> None:
    """Start this program anew as a worker is started: glibc reads its settings once, at the start.

    Those that are set already stay, as they do for workers.
    """
    environ = os.environ  # noqa: TID251 - this program's own
    if not ALLOCATOR.keys() <= environ.keys():
        os.execve(sys.executable, sys.orig_argv, {**ALLOCATOR, **environ})
