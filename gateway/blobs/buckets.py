"""A bucket through obstore: its address, its pace of retries, and what its errors mean here.

Endpoint, region and credentials come from the environment as obstore takes them (``AWS_…``,
``GOOGLE_…``, ``AZURE_…``), the roles of a machine or a pod too. It reads no profile files of AWS.
"""

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TypeAlias

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store

from gateway.addresses import hide_userinfo
from gateway.errors import SettingsError, UnavailableError

log = logging.getLogger(__name__)

Bucket: TypeAlias = S3Store | GCSStore | AzureStore
CLOUDS: Final[dict[str, type[Bucket]]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}

# Longer than a bucket that is told to slow down takes, shorter than a client waits: after that a
# request is answered with 503, and a step of the runner tries again by itself.
RETRY_SECONDS: Final = 10
RETRIES: Final = 10
FIRST_PAUSE: Final = timedelta(milliseconds=100)
LONGEST_PAUSE: Final = timedelta(seconds=2)

# For a client that was told 503: the runner's own pauses are longer.
RETRY_AFTER: Final = 10

REFUSED: Final = (PermissionDeniedError, UnauthenticatedError)

# obstore says these two in its message alone.
_STATUS: Final = re.compile(r"status code: (\d{3})")
# Of an error without a status: what its source is printed as.
_NO_ANSWER: Final = (
    ("certificate", "its certificate is not trusted"),
    ("dns error", "its name is not known"),
    ("tcp connect error", "nothing takes a connection there"),
    ("TimedOut", "it takes too long"),
)
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")


def open_bucket(url: str) -> Bucket:
    """Make ready to talk to the bucket (or container) that a URL names; asks it nothing yet.

    Errors: SettingsError of a URL, or an environment, that is not complete.
    """
    try:
        return CLOUDS[url.partition(":")[0]].from_url(
            url,
            retry_config={
                "backoff": {"init_backoff": FIRST_PAUSE, "max_backoff": LONGEST_PAUSE, "base": 2},
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            },
        )
    except BaseError as error:
        raise SettingsError(f"GATEWAY_BLOBS {url}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return hide_userinfo(str(error).partition("\n")[0])


def reason_of(error: Exception) -> str:
    """Return what may be logged and stored of an error: no names of objects, no addresses."""
    text = str(error)
    found = [match[1] for match in (_STATUS.search(text), _CODE.search(text)) if match]
    found = found or [why for sign, why in _NO_ANSWER if sign in text][:1]
    return " ".join(found) or type(error).__name__.removesuffix("Error")


@contextmanager
def bucket_errors() -> Iterator[None]:
    """Turn what the bucket does not do into UnavailableError: now, or until its rights are mended.

    What is missing (FileNotFoundError) passes.
    """
    try:
        yield
    except BaseError as error:
        refused = isinstance(error, REFUSED)
        verb = "refuses the gateway" if refused else "does not answer"
        message = f"The gateway's object store {verb} ({reason_of(error)})."
        log.error("%s", message)  # noqa: TRY400 - a traceback names objects
        raise UnavailableError(message, retry_after=RETRY_AFTER) from error


def missing(name: str) -> FileNotFoundError:
    """Make the error of a blob that is not there."""
    return FileNotFoundError(errno.ENOENT, "there is no such blob", name)


def taken(name: str) -> FileExistsError:
    """Make the error of a name that is written already."""
    return FileExistsError(errno.EEXIST, "a blob is written once, this one is there", name)
