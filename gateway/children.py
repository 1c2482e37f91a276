"""Child processes: the command that starts a module of this package, and what it inherits.

``python -m`` puts the working directory first on ``sys.path``, so a folder ``gateway/`` or a file
``random.py`` there would be imported in place of the real one, with whatever the environment
holds. ``-P`` keeps the directory out. ``-I`` would do more than is wanted: it also ignores
``PYTHONWARNINGS`` and the user's site-packages, where the gateway itself may be installed.
"""

import os
import sys
from typing import Final

# Keys and addresses of services: no child needs one that it is not given by name.
SECRET_PREFIXES: Final = (
    "GATEWAY_",
    "GEMINI_",
    "GOOGLE_",
    "AWS_",
    "AZURE_",
    "OPENAI_",
    "OTEL_",
    "PG",
)


def module_command(module: str, *arguments: str) -> list[str]:
    """Give the command that runs a module by its name, whatever the working directory holds."""
    return [sys.executable, "-P", "-m", module, *arguments]


def inherited_environment() -> dict[str, str]:
    """Give this process's environment without the keys and addresses of services."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(SECRET_PREFIXES)
    }
