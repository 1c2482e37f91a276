"""The table of routes: every call of the API, on every version, with the query it takes."""

from dataclasses import dataclass
from typing import Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute, Route

from gateway.emulator.api import batches, caches, files, models, uploads, webhooks
from gateway.emulator.api import not_served as tuned
from gateway.emulator.api.call import Endpoint, Function
from gateway.emulator.state.state import EmulatorState

VERSIONS: Final = ("v1", "v1beta", "v1alpha")

_PAGES: Final = frozenset({"pageSize", "pageToken"})
_FILTERED: Final = _PAGES | {"filter", "returnPartialSuccess"}
_MASK: Final = frozenset({"updateMask"})
_NONE: frozenset[str] = frozenset()


class _Version(Convertor[str]):
    """A version of the API in a path."""

    regex = "|".join(VERSIONS)

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor("google_version", _Version())


@dataclass(frozen=True)
class Row:
    """One call: ``operation`` is what faults call it, ``query`` what it takes of its own."""

    method: str
    path: str
    operation: str
    function: Function
    query: frozenset[str] = _NONE


ROUTES: tuple[Row, ...] = (
    Row("GET", "/batches", "list", batches.list_jobs, _FILTERED),
    Row("POST", "/batches/{id}:cancel", "cancel", batches.cancel),
    Row("PATCH", "/batches/{id}:updateGenerateContentBatch", "update", batches.update, _MASK),
    Row("PATCH", "/batches/{id}:updateEmbedContentBatch", "update", batches.update, _MASK),
    Row("GET", "/batches/{id}", "get", batches.get),
    Row("DELETE", "/batches/{id}", "delete", batches.delete),
    Row("GET", "/files", "file-list", files.list_files, _PAGES),
    Row("POST", "/files", "upload", uploads.create_metadata),
    Row("POST", "/files:register", "upload", files.register),
    Row("GET", "/files/{id}:download", "redirect", files.redirect),
    Row("GET", "/files/{id}", "file-get", files.get),
    Row("DELETE", "/files/{id}", "file-delete", files.delete),
    Row("POST", "/cachedContents", "caches", caches.create),
    Row("GET", "/cachedContents", "caches", caches.list_caches, _PAGES),
    Row("GET", "/cachedContents/{id}", "caches", caches.get),
    Row("PATCH", "/cachedContents/{id}", "caches", caches.update, _MASK),
    Row("DELETE", "/cachedContents/{id}", "caches", caches.delete),
    Row("POST", "/webhooks", "webhooks", webhooks.create),
    Row("GET", "/webhooks", "webhooks", webhooks.list_webhooks, _PAGES),
    Row("POST", "/webhooks/{id}:ping", "webhooks", webhooks.ping),
    Row("POST", "/webhooks/{id}:rotateSigningSecret", "webhooks", webhooks.rotate),
    Row("GET", "/webhooks/{id}", "webhooks", webhooks.get),
    Row("PATCH", "/webhooks/{id}", "webhooks", webhooks.update, _MASK),
    Row("DELETE", "/webhooks/{id}", "webhooks", webhooks.delete),
    Row("GET", "/models", "models", models.list_models, _PAGES),
    Row("GET", "/models/{model}/operations", "models", tuned.list_operations, _FILTERED),
    Row("GET", "/models/{model}/operations/{id}", "models", tuned.get_operation),
    Row("GET", "/models/{model}", "model", models.get),
    Row("GET", "/tunedModels", "models", tuned.list_models, _FILTERED),
    Row("GET", "/tunedModels/{model}", "models", tuned.absent),
    Row("PATCH", "/tunedModels/{model}", "models", tuned.absent, _MASK),
    Row("DELETE", "/tunedModels/{model}", "models", tuned.absent),
    *(
        Row("POST", f"/models/{{model}}:{method}", operation, function)
        for method, operation, function in (
            ("batchGenerateContent", "create", batches.create_generate),
            ("asyncBatchEmbedContent", "create", batches.create_embed),
            ("generateContent", "generate", models.generate_content),
            ("streamGenerateContent", "stream", models.stream_generate_content),
            ("countTokens", "count", models.count_tokens),
            ("embedContent", "embed", models.embed_content),
            ("batchEmbedContents", "embed", models.batch_embed_contents),
        )
    ),
    *(
        Row("POST", f"/models/{{model}}:{method}", "models", tuned.not_served(method))
        for method in tuned.NOT_SERVED
    ),
    *(
        Row("POST", f"/tunedModels/{{model}}:{method}", "models", tuned.not_found(method))
        for method in tuned.METHODS
    ),
)


def routes(state: EmulatorState) -> list[BaseRoute]:
    """Every route of the API; the version is a path parameter of three known values."""
    keys = Endpoint(state, "webhooks", webhooks.jwks, keyless=lambda _request: True)
    upload = Endpoint(
        state,
        uploads.upload_operation,
        uploads.upload,
        frozenset({"uploadId", "uploadProtocol", "name"}),
        keyless=uploads.has_upload_id,
    )
    download = Endpoint(state, "download", files.download)
    return [
        Route("/.well-known/jwks.json", keys, methods=["GET"]),
        *(
            Route(
                f"/{{version:google_version}}{row.path}",
                Endpoint(state, row.operation, row.function, row.query),
                methods=[row.method],
            )
            for row in ROUTES
        ),
        *(
            Route(f"{start}/{{version:google_version}}/files", upload, methods=["POST", "PUT"])
            for start in ("/upload", "/resumable/upload")
        ),
        Route("/download/{version:google_version}/files/{id}:download", download, methods=["GET"]),
    ]
