"""Size of answers: how many bytes the answers of a line may have, where that is out of proportion.

Log probabilities are: 100 lines of 800 tokens with 20 alternatives answer with 454 MB.
"""

from collections.abc import Sequence
from typing import Final

import orjson

_MARK: Final = b'"responseLogprobs"'

# ``{"token":" the","tokenId":578,"logProbability":-0.0123456}``, pretty-printed, in both copies
# that a finished inline job answers with.
BYTES_PER_ALTERNATIVE: Final = 240
# What today's models write at most where a line sets no limit.
MOST_TOKENS: Final = 65_536


def answer_bytes(items: Sequence[bytes]) -> int:
    """What log probabilities may add to the answers of these items, as an inline job brings them.

    ``{"generationConfig":{"responseLogprobs":true,"logprobs":5,"maxOutputTokens":100}}`` -> 144000
    """
    return sum(_logprobs_bytes(item) for item in items if _MARK in item)


def _logprobs_bytes(item: bytes) -> int:
    config = orjson.loads(item).get("generationConfig", {})
    if config.get("responseLogprobs") is not True:
        return 0
    alternatives: int = 1 + config.get("logprobs", 0)
    tokens: int = config.get("maxOutputTokens", MOST_TOKENS) * config.get("candidateCount", 1)
    return alternatives * tokens * BYTES_PER_ALTERNATIVE
