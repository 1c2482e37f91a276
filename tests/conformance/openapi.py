"""OpenAI's own description of its API, as a judge of answers."""

from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import yaml

PATH: Final = Path(__file__).parents[1] / "reference" / "openai-batch-openapi.yaml"
SPEC: Final[dict[str, Any]] = yaml.load(
    PATH.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
)
SCHEMAS: Final[dict[str, Any]] = SPEC["components"]["schemas"]

# Where the description is wrong: OpenAI's own answers break it, and so do ours.
DEFECTS: Final = {
    "nulls": "members that have no value are null in every live answer; the types forbid it",
    "OpenAIFile.purpose": "evals is accepted by create and missing among the purposes of a file",
    "GET /files/{file_id}/content": "described as a JSON string; it is the file's bytes",
}


def check(value: object, schema: str) -> None:
    """Require a value to be valid but for nulls, which OpenAI sends too."""
    reference = {"$ref": f"#/components/schemas/{schema}", **SPEC}
    jsonschema.Draft202012Validator(reference).validate(without_nulls(value))


def without_nulls(value: Any) -> Any:
    """Leave out members that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
