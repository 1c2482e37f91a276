"""Bounds that the kernel sets."""

import resource


class file_size_limit:  # noqa: N801 - reads like a function
    """The kernel refuses to let a file grow beyond this: a full disk in miniature."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
