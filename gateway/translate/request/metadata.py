"""``metadata``: pairs of strings that come back with the answer as they were."""

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_type, named


def checked_metadata(value: object) -> Json:
    """``{"ticket": "7"}``, when that is what it is."""
    if type(value) is not dict:
        invalid_type(value, "an object", "metadata")
    for name, member in value.items():
        if type(member) is not str:
            invalid_type(member, "a string", f"metadata.{named(name)}")
    return value
