"""``GET /v1/files/{id}/dry_run``: what a batch of a file would become and cost, an extension."""

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.files import found_file
from gateway.api.services import Call
from gateway.errors import RequestError
from gateway.wire.openai import canonical_endpoint


async def dry_run(call: Call) -> Response:
    """Translate the lines and count them; nothing is kept, sent or paid."""
    file = await found_file(call)
    if file.purpose != "batch":
        raise RequestError(
            f"File {file.id} has the purpose '{file.purpose}': only the input of a batch,"
            " with the purpose 'batch', can be tried.",
            code="invalid_value",
        )
    if call.services.dry_run is None:
        raise RequestError("This gateway tries no files.")
    told = await call.services.dry_run(file, _endpoint(call))
    return answer({"object": "file.dry_run", "id": file.id, **told})


def _endpoint(call: Call) -> str | None:
    given = call.request.query_params.get("endpoint")
    if not given:
        return None
    endpoint = canonical_endpoint(given)
    if endpoint not in call.services.endpoints:
        raise RequestError(
            f"Invalid 'endpoint': expected one of {', '.join(call.services.endpoints)}.",
            param="endpoint",
            code="invalid_value",
        )
    return endpoint
