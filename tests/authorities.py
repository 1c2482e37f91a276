"""The certificate authority that tests trust: one of their own, since they meet no public host.

A client of HTTP reads its authorities when it is made. The public ones take 20 ms of CPU, and the
tests make more than a thousand clients.
"""

import os
from pathlib import Path
from typing import Final

OURS: Final = Path(__file__).parent / "upstream" / "loopback.pem"

# For children that fetch packages: the environment as it was found.
PUBLIC_ENVIRONMENT: Final = dict(os.environ)  # noqa: TID251 - a child's environment


def trust_ours() -> None:
    """Let this process and its children trust no authority but ours."""
    os.environ["SSL_CERT_FILE"] = str(OURS)  # noqa: TID251 - where OpenSSL's users look
