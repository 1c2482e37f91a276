"""Opens the place of a gateway's bytes: its data directory, or a bucket.

The bytes that records name are in one of the two. A gateway that looked in the other would find
every file gone and count paid results as lost, so it does not start.
"""

from pathlib import Path
from typing import Final

from gateway.blobs.local import LocalBlobs
from gateway.errors import SettingsError
from gateway.extras import import_extra
from gateway.ports.blobs import Blobs

FOLDER: Final = "blobs"
ASKER: Final = "GATEWAY_BLOBS names a bucket"


async def open_blobs(url: str | None, data_dir: Path, gateway_id: str, *, new: bool) -> Blobs:
    """Open the bucket that a URL names, else the directory.

    ``new``: there are no records of files yet. Errors: SettingsError of a place that cannot be
    used, or is not the one that the records' bytes are in; UnavailableError of a bucket that does
    not answer.
    """
    folder = data_dir / FOLDER
    if url is None:
        if not new and not folder.exists():
            raise SettingsError(
                f"the files that the records in {data_dir} name are not in {folder}: set"
                " GATEWAY_BLOBS to the bucket where they are, or restore the folder"
            )
        blobs: Blobs = LocalBlobs(folder)
    else:
        _leave(folder)
        blobs = bucket_of(url, gateway_id, new=new)
    await blobs.open()
    return blobs


def _leave(folder: Path) -> None:
    """Remove the folder of bytes, which is what tells that they are in it."""
    if not folder.exists():
        return
    if any(path.is_file() for path in folder.rglob("*")):
        raise SettingsError(
            f"GATEWAY_BLOBS names a bucket, but {folder} holds files: move them there with"
            " `gateway migrate-store`, or unset GATEWAY_BLOBS"
        )
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir()
    folder.rmdir()


async def check_bucket(url: str) -> str:
    """Ask a bucket what changes nothing in it, and describe it.

    Errors: SettingsError of one that cannot be used; UnavailableError of one that does not answer.
    """
    objects = import_extra("gateway.blobs.objects", "obstore", "cloud", ASKER)
    owner = await objects.ObjectBlobs(url, "", new=False).look()
    whose = f"it is that of the gateway {owner}" if owner else "no gateway has used it yet"
    return f"{url} can be listed and read, {whose}; whether it can be written shows at the start"


def bucket_of(url: str, gateway_id: str, *, new: bool) -> Blobs:
    """Make the bucket's adapter, with what only those install who have one. Errors: SettingsError.

    ``new``: as :func:`open_blobs`.
    """
    objects = import_extra("gateway.blobs.objects", "obstore", "cloud", ASKER)
    blobs: Blobs = objects.ObjectBlobs(url, gateway_id, new=new)
    return blobs
