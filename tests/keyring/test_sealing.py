"""Names of owners and sealed keys."""

import base64

import pytest

from gateway.keyring.sealing import Seals, UnsealableError

KEY = "AIzaSy-sentinel-of-a-client-0001"
SEALS = Seals(b"k" * 32)


def test_a_sealed_key_comes_back() -> None:
    """Each time it is sealed otherwise, and the key is not in it."""
    first, second = SEALS.seal("google-a", KEY), SEALS.seal("google-a", KEY)

    assert first != second
    assert SEALS.unseal("google-a", first) == SEALS.unseal("google-a", second) == KEY
    assert KEY.encode() not in base64.b64decode(first)


def test_what_an_older_version_wrote_down_is_read() -> None:
    """The names of owners and the sealed keys are in databases: neither may come out otherwise."""
    sealed = "/d9BZvJZjV+6hTUvGZr0q3Ds7L71PZ0dsT9IpI6VYFVy2k38j5Dj5vt2wzyWQ3hzvTA9C2jAiPpZhj3T"

    assert SEALS.owner_of(KEY) == "google-7fbcc87de14d1ff4cdfa4bbf116ee23a"
    assert SEALS.unseal("google-a", sealed) == KEY


def test_a_sealed_key_is_its_owners() -> None:
    """It is no other's, none of another setting, and none once it was changed."""
    sealed = SEALS.seal("google-a", KEY)
    *rest, last = base64.b64decode(sealed)
    changed = base64.b64encode(bytes([*rest, last ^ 1])).decode()

    for seals, owner, text in (
        (SEALS, "google-b", sealed),
        (Seals(b"l" * 32), "google-a", sealed),
        (SEALS, "google-a", changed),
        (SEALS, "google-a", "not base64!"),
        (SEALS, "google-a", ""),
    ):
        with pytest.raises(UnsealableError):
            seals.unseal(owner, text)


def test_an_owner_is_named_by_key_and_setting() -> None:
    """Who has the database alone cannot try keys."""
    owner = SEALS.owner_of(KEY)

    assert owner == Seals(b"k" * 32).owner_of(KEY)
    assert len({owner, SEALS.owner_of(KEY + "x"), Seals(b"l" * 32).owner_of(KEY)}) == 3
    assert KEY not in owner
