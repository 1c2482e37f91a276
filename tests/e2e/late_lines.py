"""``gateway serve`` whose log lines are gathered for an hour: none is written by the clock."""

import sys

from gateway.cli import logs
from gateway.cli.main import main

if __name__ == "__main__":
    logs.GATHER_SECONDS = 3600  # type: ignore[misc]
    sys.argv[1:] = ["serve"]
    main()
