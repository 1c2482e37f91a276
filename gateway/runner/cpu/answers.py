"""Size of answers: how many bytes the answers of a line may have, where that is out of proportion.

Log probabilities are: 100 lines of 800 tokens with 20 alternatives answer with 454 MB. So are
media: 50,000 pictures of 2K are 400 GB, and Google stores 20 GB for a project.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate import LOGPROBS
from gateway.units import MIB

# ``{"token":" the","tokenId":578,"logProbability":-0.0123456}``, pretty-printed, in both copies
# that a finished inline job answers with.
BYTES_PER_ALTERNATIVE: Final = 240
# What today's models write at most where a line sets no limit.
MOST_TOKENS: Final = 65_536


# A picture as base64, by imageSize: 150 of 2K made 1.2 GB (discuss.ai.google.dev 174261), the
# others by their area.
IMAGE_BYTES: Final = {"512": MIB // 2, "1K": 2 * MIB, "2K": 8 * MIB, "4K": 32 * MIB}
LARGEST_IMAGE: Final = "4K"
# Sound: 24 kHz of 16 bits, 25 tokens a second (recorded), as base64.
SOUND_BYTES_PER_TOKEN: Final = 24_000 * 2 * 4 // 3 // 25
# A minute and a half of speech, where a line sets no limit.
SOUND_TOKENS: Final = 2_000


def answer_bytes(items: Sequence[bytes], *, media: bool = False, speaks: bool = False) -> int:
    """Return what media or log probabilities may add to the answers of these items.

    ``{"generationConfig":{"responseLogprobs":true,"logprobs":5,"maxOutputTokens":100}}`` -> 144000
    (as an inline job brings them), ``{"generationConfig":{"imageConfig":{"imageSize":"2K"}}}`` of a
    model of pictures (``media``) -> 8 MiB.
    """
    if media:
        return sum(_media_bytes(item, speaks=speaks) for item in items)
    return sum(_logprobs_bytes(item) for item in items if LOGPROBS in item)


def _media_bytes(item: bytes, *, speaks: bool) -> int:
    config = orjson.loads(item).get("generationConfig", {})
    answers: int = config.get("candidateCount", 1)
    if speaks:
        tokens: int = config.get("maxOutputTokens", SOUND_TOKENS)
        return answers * tokens * SOUND_BYTES_PER_TOKEN
    size = config.get("imageConfig", {}).get("imageSize", "1K")
    return answers * IMAGE_BYTES.get(size, IMAGE_BYTES[LARGEST_IMAGE])


def _logprobs_bytes(item: bytes) -> int:
    config = orjson.loads(item).get("generationConfig", {})
    if config.get("responseLogprobs") is not True:
        return 0
    alternatives: int = 1 + config.get("logprobs", 0)
    tokens: int = config.get("maxOutputTokens", MOST_TOKENS) * config.get("candidateCount", 1)
    return alternatives * tokens * BYTES_PER_ALTERNATIVE
