"""The opening of traces: OpenTelemetry is imported only where they are asked for."""

from importlib import import_module
from typing import Final

from gateway.errors import SettingsError
from gateway.ports.tracing import Tracing

ADVICE: Final = (
    "GATEWAY_TRACES=on needs OpenTelemetry's packages: in the checkout, type pip install '.[otel]'"
)


def open_tracing(exporter: str) -> Tracing:
    """Return the traces of this process, sent as OTEL_* says. Errors: SettingsError."""
    try:
        provider = import_module("gateway.tracing.provider")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("opentelemetry"):
            raise
        raise SettingsError(ADVICE) from error
    try:
        tracing: Tracing = provider.open_provider(exporter)
    except (ValueError, LookupError) as error:
        raise SettingsError(f"OpenTelemetry's OTEL_* variables: {error}") from error
    return tracing
