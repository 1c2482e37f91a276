"""Our translation against LiteLLM's own of the same lines, both ways, on one core.

``pip install litellm && python tests/benchmarks/against_litellm.py`` prints lines per second and
the ratio; without LiteLLM it says so. What is called is what its proxy runs on a batch file: the
stream that rewrites an upload for Vertex AI, and the rewriting of one line of results. Both take
the same bytes as ours and give bytes; the results get the ``request`` and ``processed_time`` that
LiteLLM looks for. Its names are private and may move: seen with 1.110.
"""

import argparse
import importlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

# Run as a program, a file finds its own folder only.
sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.translate import AnswerHints
from tests.benchmarks import lines
from tests.benchmarks.translation import backward, forward, seconds

_CHAT: Final = "/v1/chat/completions"
_HINTS: Final[AnswerHints] = {"model": "gemini-2.5-flash"}


def litellm_forward() -> Callable[[bytes], object]:
    """One input line -> Vertex rows."""
    module: Any = importlib.import_module("litellm.llms.vertex_ai.files.transformation")
    config = module.VertexAIFilesConfig()
    map_params = partial(config._map_openai_to_vertex_params, deployment_drop_params=True)

    def translate(line: bytes) -> object:
        upload = module._OpenAIToVertexBatchUploadStream(line, map_params)
        rows = b"".join(upload.iter_bytes())
        if not rows.startswith(b'{"request"'):
            raise ValueError(rows[:200])
        return rows

    return translate


def litellm_backward() -> Callable[[bytes], object]:
    """One result line -> its output line."""
    module: Any = importlib.import_module("litellm.llms.vertex_ai.files.transformation")
    config = module.VertexAIFilesConfig()
    context = module._new_vertex_batch_output_row_transform_context()

    def translate(line: bytes) -> object:
        row = config._transform_vertex_batch_output_line(line, context=context)
        if b'"chat.completion"' not in row:
            raise ValueError(row[:200])
        return row

    return translate


def vertex_rows(results: Iterable[bytes]) -> list[bytes]:
    """Results as Vertex AI writes them."""
    extra = {"request": {"labels": {"litellm_custom_id": "a"}}, "processed_time": "2026-11-25"}
    return [orjson.dumps({**orjson.loads(line), **extra}) for line in results]


def best(work: Callable[[bytes], object], sample: list[bytes], rounds: int) -> float:
    """Lines per second of CPU time, the best of some rounds."""
    return len(sample) / min(seconds(work, sample) for _ in range(rounds))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=2_000)
    arguments = parser.parse_args()
    # It fetches a price map when it is imported, or uses its own copy.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # noqa: TID251 - for LiteLLM
    try:
        theirs = (litellm_forward(), litellm_backward())
    except ImportError as error:
        print(f"LiteLLM cannot be used here ({error}): pip install litellm")
        return 1
    ours = (forward(_CHAT), backward(_CHAT, _HINTS))

    def take(source: Iterable[bytes]) -> list[bytes]:
        return list(itertools.islice(source, arguments.lines))

    small, mixed = take(lines.results(small=True)), take(lines.results(small=False))
    print(f"{'lines a second':22}{'ours':>12}{'LiteLLM':>12}{'ratio':>8}")
    for name, way, mine, other in (
        ("forward, mixed", 0, take(lines.mixed()), None),
        ("forward, 300 bytes", 0, take(lines.small()), None),
        ("back, mixed", 1, mixed, vertex_rows(mixed)),
        ("back, small", 1, small, vertex_rows(small)),
    ):
        one = best(ours[way], mine, arguments.rounds)
        two = best(theirs[way], other or mine, arguments.rounds)
        print(f"{name:22}{one:>12,.0f}{two:>12,.0f}{one / two:>8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
