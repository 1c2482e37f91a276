"""Public reports of Google's service, and the switch that shows each: one table.

Sources: issues of github.com/googleapis/python-genai (``#N``), js-genai, go-genai, others by name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """A row of the table."""

    what: str
    where: str
    faults: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    # What needs no switch.
    always: str = ""


# In the order of the reports' list.
REPORTS: tuple[Report, ...] = (
    Report(
        "Jobs stay PENDING or RUNNING for more than a day, then expire",
        "#1482, #2221, #2439, #2974, js-genai#1453, discuss.ai.google.dev/t/107091",
        ("job-stuck", "job-expires", "job-slow", "output-kept"),
    ),
    Report("Results come in another order", "#1909", ("results-shuffled",)),
    Report(
        "Results come without key or metadata",
        "#1886, #2008, js-genai#1191",
        ("results-keyless",),
        ("keyless",),
    ),
    Report(
        "A list without pageSize is empty, counts of a list are stale",
        "#1250",
        ("list-needs-size", "list-empty", "list-empty-page"),
        always="a list shows the counts of the create (list-fresh: the true ones)",
    ),
    Report(
        "429 below the limits, without a word on when to come back",
        "#1901, js-genai#1264, langchain4j#3942, discuss.ai.google.dev/t/107091",
        ("quota",),
        always="so it is beyond the limits (--max-live-jobs, --tier, --enqueued-tokens)",
    ),
    Report(
        "Half of the items fail with code 13, or have nothing but citations",
        "#1341",
        ("results-fail", "results-citation-only", "results-empty"),
        ("error", "citation-only", "empty"),
    ),
    Report(
        "A result file cannot be looked up or deleted: its name is too long",
        "#1759, #1613, js-genai#1227, go-genai#436",
        ("result-file-known",),
        always="400 (result-file-known: it can)",
    ),
    Report(
        "A download is a redirect",
        "js-genai#1184",
        ("download-direct", "redirect-elsewhere"),
        always="302 to /download/...",
    ),
    Report(
        "A deleted job is still listed and still counts",
        "#2495",
        ("delete-lingers", "quota-lingers"),
    ),
    Report(
        "An upload's answer has no file",
        "#1248",
        ("upload-no-file", "upload-no-status", "upload-short", "upload-corrupt"),
    ),
    Report(
        "Fields of a line are misplaced and lost, a cache has no effect",
        "#1137, #1103, #1313, cookbook#846",
        ("lines-unchecked", "cache-ignored"),
        always="unknown fields are refused",
    ),
    Report(
        "JSON of a batch ends in the middle, three times in ten",
        "discuss.ai.google.dev/t/140889",
        ("results-cut",),
        ("cut-json",),
    ),
    Report(
        "Refused answers look like empty successes",
        "langextract#528",
        ("results-refused",),
        ("finish", "block"),
    ),
    Report(
        "Output is in response only, or in metadata only",
        "bifrost#3951",
        ("output-only", "output-nowhere"),
        always="it is in both",
    ),
    Report("JOB_STATE_ where BATCH_STATE_ is expected", "", ("state-spelling", "state-unknown")),
    Report(
        "No way to the files and batches of Gemini",
        "litellm#20007, litellm#12126, litellm#9968",
        always="of LiteLLM, not of Google: nothing to show",
    ),
    Report(
        "A large answer about a job is cut off",
        "",
        ("cut-after", "fields-refused"),
        always="fields masks are honoured",
    ),
    Report(
        "A create that answers 5xx or nothing has made a job all the same",
        "",
        ("create-500-after", "create-hang-after", "create-drop-after", "error-after"),
    ),
    Report(
        "A job or its results are denied for a while and are there afterwards",
        "anthropic-sdk-python#1432, #1218, deprecated-generative-ai-python#692",
        ("get-denied", "download-denied", "file-denied", "output-late"),
    ),
    Report(
        "A create is refused for one of its items, or for a bill that is due",
        "#1103, js-genai#846, #1218",
        ("create-names-item", "create-denied", "key-invalid", "model-unserved"),
    ),
    Report(
        "A GET without fields is 503 for ever, the masked one works", "#2519", ("fields-needed",)
    ),
)
