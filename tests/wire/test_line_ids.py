"""Ids of output lines, which a client may have stored."""

from gateway.ids import line_ids


def test_they_never_change() -> None:
    """Files that are rendered again name the same lines."""
    assert line_ids("batch_one", 17) == (
        "batch_req_399b654d26da1a10c635d9423fc0fd6e",
        "6568c6134d17ae40e177bcd539b21b6c",
    )
