"""Generated blocks of the README files: ``python -m tests.readme_blocks`` writes them anew.

A block is the text between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; it is made from the
tables and files that the product itself runs on, and test_readme.py compares. :data:`BLOCKS` says
which file each block belongs to.
"""

import ast
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.api.routes import ROUTES
from gateway.cli.emulator import flag_of
from gateway.emulator import EmulatorOptions
from gateway.emulator.faults.markers import MARKERS
from gateway.emulator.faults.refusals import REASONS, Refused
from gateway.emulator.faults.reports import REPORTS, Report
from gateway.emulator.faults.table import FAULTS, Fault, Scope, describe
from gateway.metrics.table import TABLE as SERIES
from gateway.settings.table import SETTINGS, Setting
from gateway.tracing.attributes import MEANINGS
from gateway.translate.answer.finish import FINISH, Finish
from gateway.translate.contract import Policy
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.models.aliases import OPENAI_ALIASES, resolve_model
from gateway.translate.reading.notes import CODES
from gateway.translate.reading.table import ANSWER_TABLES, TABLES, Field, Placing
from gateway.wire.openai import UNOFFERED_ENDPOINTS
from tests.emulator import test_replay as _fills_the_table  # noqa: F401
from tests.emulator.replaying import NOT_REPLAYED, REPLAYED, SAMPLES

ROOT = Path(__file__).parent.parent
README = "README.md"

# The twelve settings of the front page, in the order in which they are needed.
COMMON_SETTINGS: Final = (
    "GEMINI_API_KEY",
    "GATEWAY_DATA_DIR",
    "GATEWAY_HOST",
    "GATEWAY_PORT",
    "GATEWAY_API_KEYS",
    "GATEWAY_MODEL_ALIASES",
    "GATEWAY_STRICT",
    "GATEWAY_UNKNOWN_FIELDS",
    "GATEWAY_SCHEMA_CHECK",
    "GATEWAY_TRANSLATE_WORKERS",
    "GATEWAY_GEMINI_BASE_URL",
    "GATEWAY_LOG_LEVEL",
)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def settings() -> str:
    """Every setting."""
    return _settings(SETTINGS)


def common_settings() -> str:
    """The settings of the front page."""
    rows = {row.name: row for row in SETTINGS}
    return _settings(rows[name] for name in COMMON_SETTINGS)


def _settings(rows: Iterable[Setting]) -> str:
    return table(
        ("setting", "default", "type", "meaning"),
        (
            (f"`{row.name}`", f"`{row.default}`" if row.default else "none", row.type, row.help)
            for row in rows
        ),
    )


def endpoints() -> str:
    """What a batch may be of, and what it may not."""
    served = (
        (f"`{path}`", f"`{endpoint.method}`", _link_to_fields(path))
        for path, endpoint in ENDPOINTS.items()
    )
    refused = ((f"`{path}`", "refused", reason) for path, reason in UNOFFERED_ENDPOINTS.items())
    return table(("endpoint of a batch", "Gemini's method", ""), (*served, *refused))


def _link_to_fields(path: str) -> str:
    anchor = path.replace("/", "")
    return f"[every field](gateway/translate/README.md#{anchor})"


def openai_aliases() -> str:
    """What the built-in aliases make of OpenAI's names, models of one kind in one row."""
    kinds: dict[tuple[str, str], list[str]] = {}
    policy = Policy(aliases=OPENAI_ALIASES)
    for name in OPENAI_ALIASES:
        model, defaults = resolve_model(name, policy)
        given = ", ".join(f"`{member}` {value}" for member, value in defaults.items())
        kinds.setdefault((model, given), []).append(f"`{name}`")
    return table(
        ("OpenAI's name", "Gemini model", "unless the line says otherwise"),
        ((", ".join(names), f"`{model}`", given) for (model, given), names in kinds.items()),
    )


def routes() -> str:
    """Every route."""
    return table(
        ("method", "path"),
        (
            (f"`{row.method}`", f"`{'' if row.public else '/v1'}{row.path.replace(':path', '')}`")
            for row in ROUTES
        ),
    )


def attributes() -> str:
    """Every attribute of a span."""
    return table(("attribute", "meaning"), ((f"`{name}`", told) for name, told in MEANINGS.items()))


def series() -> str:
    """Every series of the metrics."""
    return table(
        ("series", "type", "labels", "meaning"),
        (
            (
                f"`{row.name}`",
                row.kind.value,
                ", ".join(f"`{name}`" for name in row.labels),
                row.help,
            )
            for row in SERIES
        ),
    )


def endpoint_fields(path: str) -> Callable[[], str]:
    """The body of an endpoint's line."""
    return lambda: fields(next(one.rows for one in TABLES if one.path == path))


def fields(rows: Sequence[Field[Any]]) -> str:
    """A table of fields: the mapped, then the dropped, then the refused."""
    order = list(Placing)
    ordered = sorted(rows, key=lambda row: order.index(row.placing))
    return table(
        ("field", "", "what becomes of it"),
        ((f"`{row.name}`", row.placing.value, row.about) for row in ordered),
    )


# In front of the path of an object that only lines of this endpoint have.
_RESPONSES: Final = "/v1/responses "


def inner_fields() -> str:
    """The objects inside a line of any endpoint but responses."""
    return objects(
        {
            one.path: one.rows
            for one in TABLES
            if one.path not in ENDPOINTS and not one.path.startswith(_RESPONSES)
        }
    )


def responses_objects() -> str:
    """The objects inside a responses line."""
    return objects(
        {
            one.path.removeprefix(_RESPONSES): one.rows
            for one in TABLES
            if one.path.startswith(_RESPONSES)
        }
    )


def objects(tables: Mapping[str, Sequence[Field[Any]]]) -> str:
    """A table of the fields of several objects, an object behind the one that has it."""
    return table(
        ("object", "field", "", "what becomes of it"),
        (
            (f"`{path}`", f"`{row.name}`", row.placing.value, row.about)
            for path, rows in sorted(tables.items())
            for row in rows
        ),
    )


def answer_fields() -> str:
    """Every field of Gemini's answers."""
    return table(
        ("message", "field", "what becomes of it"),
        (
            (f"`{message}`", f"`{name}`", about)
            for message, rows in sorted(ANSWER_TABLES.items())
            for name, about in rows.items()
        ),
    )


def finish_reasons() -> str:
    """Gemini's finishReason."""
    return table(
        ("Gemini's `finishReason`", "`finish_reason`", "without output"),
        ((f"`{name}`", _word(finish), _failure(finish)) for name, finish in FINISH.items()),
    )


def _word(finish: Finish) -> str:
    return "never" if finish.always else f"`{finish.word}`"


def _failure(finish: Finish) -> str:
    if finish.failure is None:
        return "the same, `content` null"
    status, code = finish.failure
    return f"error line, {status} `{code}`"


def note_codes() -> str:
    """Codes of notes."""
    return table(("code", "meaning"), ((f"`{code}`", what) for code, what in CODES.items()))


def markers() -> str:
    """Words in a prompt that the emulator obeys."""
    return table(
        ("in a prompt", "what happens"),
        ((f"`[[{name}]]`", what) for name, what in MARKERS.items()),
    )


def faults() -> str:
    """What the emulator can be told to do wrong."""
    return table(
        ("fault", "what happens", "decided", "unless told otherwise"),
        (
            (f"`{name}`", kind.what, kind.scope.name.lower(), own_values(kind.base))
            for name, kind in FAULTS.items()
        ),
    )


def reasons() -> str:
    """Why an error can be answered, and the beginning of what Google says."""
    about = Refused("create", "gemini-3.8-flash", "")
    made = ((name, make(about)) for name, make in REASONS.items())
    return table(
        ("reason", "status", "message"),
        ((f"`{name}`", str(error.code), _beginning(error.message)) for name, error in made),
    )


def _beginning(text: str, characters: int = 90) -> str:
    return text if len(text) <= characters else text[:characters].rpartition(" ")[0] + " …"


def own_values(fault: Fault) -> str:
    """A fault's own values of its parameters."""
    shown = (f"`{name}={value}`" for name, value in describe(fault).items() if name != "name")
    return ", ".join(shown)


def scopes() -> str:
    """When faults are decided."""
    return "\n".join(f"- {scope.name.lower()}: {scope.value}" for scope in Scope)


def reports() -> str:
    """What is reported of Google's service, and the switch for it."""
    return table(
        ("reported", "where", "switch"),
        ((report.what, report.where, _switches(report)) for report in REPORTS),
    )


def _switches(report: Report) -> str:
    names = [*report.faults, *(f"[[{name}]]" for name in report.markers)]
    shown = ", ".join(f"`{name}`" for name in names)
    return "; ".join(text for text in (shown, report.always) if text)


def emulator_options() -> str:
    """What an emulator can be started with."""
    return table(
        ("option", "default", "meaning"),
        (
            (f"`{flag_of(one.name)}`", _plain(one), one.metadata["about"])
            for one in dataclasses.fields(EmulatorOptions)
        ),
    )


def _plain(one: "dataclasses.Field[Any]") -> str:
    if isinstance(one.default, bool):
        return "on" if one.default else "off"
    return "none" if one.default in {dataclasses.MISSING, (), None} else f"`{one.default}`"


def replayed() -> str:
    """What became of every recorded exchange."""
    kinds: dict[str, Counter[str]] = {}
    for name, sample in SAMPLES.items():
        how = REPLAYED.get(name) or f"not replayed: {NOT_REPLAYED[name]}"
        kinds.setdefault(sample["kind"], Counter())[how] += 1
    return table(
        ("kind", "samples", "replayed"),
        (
            (f"`{kind}`", str(found.total()), _how(found))
            for kind, found in sorted(kinds.items(), key=lambda one: one[0])
        ),
    )


def _how(found: Counter[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{count} {how}" for how, count in found.most_common())


def sidecar() -> str:
    """The part of the manifest that is about the gateway and its client."""
    text = (ROOT / "deploy/kubernetes.yaml").read_text(encoding="utf-8")
    start = text.index("      initContainers:\n")
    end = text.index("          securityContext:\n", text.index("      containers:\n"))
    return _fenced("yaml", text[start:end])


def rooms() -> str:
    """Every folder of ``gateway/`` with the first sentence of its docstring."""
    lines = []
    for path in sorted((ROOT / "gateway").rglob("__init__.py")):
        folder = path.parent.relative_to(ROOT)
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        name = "  " * (len(folder.parts) - 1) + f"{folder.name}/"
        lines.append(f"{name:<20}{docstring.splitlines()[0].replace('``', '')}")
    return _fenced("text", "\n".join(lines))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


Blocks = Mapping[str, Callable[[], str]]

# The README files, and the blocks of each.
BLOCKS: Mapping[str, Blocks] = {
    README: {
        "common-settings": common_settings,
        "endpoints": endpoints,
        "openai-aliases": openai_aliases,
    },
    "gateway/README.md": {
        "routes": routes,
        "note-codes": note_codes,
    },
    "gateway/translate/README.md": {
        **{f"fields of {path}": endpoint_fields(path) for path in ENDPOINTS},
        "inner-fields": inner_fields,
        "responses-objects": responses_objects,
        "answer-fields": answer_fields,
        "finish-reasons": finish_reasons,
    },
    "gateway/live/README.md": {},
    "gateway/ui/README.md": {},
    "gateway/emulator/README.md": {
        "markers": markers,
        "faults": faults,
        "scopes": scopes,
        "reasons": reasons,
        "reports": reports,
        "emulator-options": emulator_options,
        "replayed": replayed,
    },
    "gateway/settings/README.md": {"settings": settings},
    "gateway/runner/README.md": {},
    "gateway/store/README.md": {},
    "gateway/metrics/README.md": {"series": series},
    "gateway/notify/README.md": {},
    "gateway/tracing/README.md": {"attributes": attributes},
    "deploy/README.md": {"sidecar": sidecar},
    "tests/README.md": {},
    "tests/benchmarks/README.md": {},
    "tests/campaigns/README.md": {},
    "CONTRIBUTING.md": {"rooms": rooms},
    "SECURITY.md": {},
}


def read(name: str) -> str:
    """The text of a README file, by its path below the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def with_blocks(name: str, text: str) -> str:
    """A README file with every block as it should be; each block is in its file, and once."""
    for block, make in BLOCKS[name].items():
        pattern = re.compile(f"(<!-- begin {block} -->\n).*?(<!-- end {block} -->)", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise LookupError(f"{name} needs the block {block} once")
        made = make()
        text = pattern.sub(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    for readme in BLOCKS:
        (ROOT / readme).write_text(with_blocks(readme, read(readme)), encoding="utf-8")
