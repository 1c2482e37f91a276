"""The opening of traces: OpenTelemetry is imported only where they are asked for."""

from gateway.addresses import hide_userinfo
from gateway.errors import SettingsError
from gateway.extras import import_extra
from gateway.ports.tracing import Tracing


def open_tracing(exporter: str) -> Tracing:
    """Return the traces of this process, sent as OTEL_* says. Errors: SettingsError."""
    asker = f"GATEWAY_TRACES={exporter} asks for OpenTelemetry"
    provider = import_extra("gateway.tracing.provider", "opentelemetry", "otel", asker)
    try:
        tracing: Tracing = provider.open_provider(exporter)
    except (ValueError, LookupError) as error:
        told = hide_userinfo(str(error))
        raise SettingsError(f"OpenTelemetry's OTEL_* variables: {told}") from error
    return tracing
