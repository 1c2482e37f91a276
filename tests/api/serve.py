"""A gateway's API without a runner in a process of its own, to look at its memory.

python -m tests.api.serve DIRECTORY
"""

import asyncio
import sys
from pathlib import Path

from tests.api.world import new_world, serving


async def main(directory: Path) -> None:
    """Serve until the input ends; the base URL is the first line of the output."""
    async with new_world(directory) as world, serving(world.app()) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
