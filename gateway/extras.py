"""Extras: packages that not every gateway needs, imported when a setting asks for them."""

from importlib import import_module
from types import ModuleType

from gateway.errors import SettingsError


def import_extra(module: str, package: str, extra: str, asker: str) -> ModuleType:
    """Import one of our modules that needs a package of an extra.

    ``package`` is the beginning of the package's name, ``asker`` a clause that says what needs it.
    The project is not published, so the hint is what works from a checkout: a name that pip looks
    up could be registered by a stranger. Errors: SettingsError where the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(package):
            raise
        raise SettingsError(
            f"{asker}, which needs one more package: in the checkout, type pip install '.[{extra}]'"
        ) from error
