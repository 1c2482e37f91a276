"""Secrets in files, read again when these change: keys are turned without a restart.

A file is compared by what it says, not by its times: Kubernetes swaps links, editors rename. What
cannot be read, or used, changes nothing, and is told once.
"""

import logging
from collections.abc import Mapping
from typing import Any

from gateway.settings.load import read_secret, secret_paths
from gateway.settings.table import Setting

logger = logging.getLogger(__name__)


class SecretFiles:
    """The files that the environment names for secrets, and what each said last."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._paths = secret_paths(environ)
        self._seen: dict[str, object] = {}
        self._complaints: dict[str, str] = {}
        self.changed()

    def changed(self) -> dict[str, Any]:
        """Give the settings whose file says something new that can be used, by field."""
        found = {}
        for setting, path in self._paths.items():
            try:
                value = _read(setting, path)
            except ValueError as error:
                self._complain(setting, str(error))
                continue
            self._complaints.pop(setting.field, None)
            if self._seen.get(setting.field) != value:
                self._seen[setting.field] = found[setting.field] = value
        return found

    def _complain(self, setting: Setting, complaint: str) -> None:
        if self._complaints.get(setting.field) != complaint:
            self._complaints[setting.field] = complaint
            logger.error("%s %s: what it said before stays in force", setting.name, complaint)


def _read(setting: Setting, path: str) -> object:
    value: object = setting.parse(read_secret(path))
    if not value:
        raise ValueError(f"is empty in its file {path}")
    return value
