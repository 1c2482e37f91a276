"""Log probabilities, in the shape of the recorded ones: a token a word, with alternatives."""

from hashlib import sha256

from gateway.emulator.protocol.errors import JsonObject


def logprobs(parts: list[JsonObject], most: int) -> JsonObject:
    """``avgLogprobs`` and ``logprobsResult`` over the words of the text, ``most`` alternatives."""
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    words = [word + " " for word in text.split(" ")]
    chosen = [_token(word, 0) for word in words]
    result: JsonObject = {"chosenCandidates": chosen}
    if most:
        result["topCandidates"] = [
            {"candidates": [_token(word, rank) for rank in range(most)]} for word in words
        ]
    total = sum(one["logProbability"] for one in chosen)
    result["logProbabilitySum"] = round(total, 6)
    return {"avgLogprobs": round(total / len(chosen), 6), "logprobsResult": result}


def _token(word: str, rank: int) -> JsonObject:
    token = word if not rank else f"{word.strip()}{rank}"
    token_id = int.from_bytes(sha256(token.encode()).digest()[:2])
    return {"token": token, "tokenId": token_id, "logProbability": -0.01 - 1.5 * rank}
