"""``gateway backup``: a copy of the data directory, taken while a gateway runs over it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from gateway.blobs.layout import Layout
from gateway.blobs.opening import FOLDER
from gateway.cli.environment import BadSettings, make_directory, read_settings_of_records
from gateway.cli.inputs import in_words, named
from gateway.cli.output import say
from gateway.directories import usable
from gateway.errors import SettingsError
from gateway.ids import is_recorded
from gateway.settings.table import Settings
from gateway.store.moved import refuse_moved
from gateway.store.opening import DATABASE
from gateway.units import counted

# Of the database, between which a running gateway may write.
PAGES: Final = 1024
# Codes of SQLite that cannot make or write its own files next to a database.
UNWRITTEN: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


HELP: Final = """Copy the records and the bytes of files to DIRECTORY, which must be new or empty.

The gateway may run meanwhile. The records are those of one moment; bytes are linked where
DIRECTORY lies on the same file system, else copied. To restore, stop the gateway and put the
copy in the place of the data directory.

Exit 1 when files were removed meanwhile that the records name: what nothing needs any more is
removed GATEWAY_SWEEP_SECONDS later, and the copy took longer.

\b
  gateway backup /backups/2026-11-29
"""


@click.command(short_help="Copy the data directory of a running gateway.", help=HELP)
@click.argument("directory", type=click.Path(path_type=Path))
def backup(directory: Path) -> None:
    """See HELP."""
    settings = read_settings_of_records()
    source = _source(settings)
    make_directory(directory)
    if any(directory.iterdir()):
        raise click.ClickException(f"{directory} is not empty: name a new directory")
    count = _copied(source, directory)
    if lost := _lost(directory):
        raise click.ClickException(
            f"{directory} is not whole: it lacks {counted(lost, 'file')} of its records. What"
            f" nothing needs is removed after {settings.sweep_seconds:g} s (GATEWAY_SWEEP_SECONDS),"
            " and the copy took longer: take another, to a slow disk with that setting raised"
        )
    say(f"the records and {counted(count, 'file')} are in {directory}")


def _copied(source: Path, directory: Path) -> int:
    """Copy records and blobs, and count these. Errors: click.ClickException."""
    try:
        # The records first: of what they name nothing is removed for GATEWAY_SWEEP_SECONDS.
        _copy_records(source / DATABASE, directory / DATABASE)
        return _copy_blobs(Layout(source / FOLDER), Layout(directory / FOLDER))
    except (sqlite3.Error, OSError) as error:
        raise click.ClickException(
            f"{source} could not be copied ({_why(error, source)}): {directory} is not whole,"
            " remove it"
        ) from error


def _why(error: sqlite3.Error | OSError, source: Path) -> str:
    if isinstance(error, OSError):
        return in_words(error)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in UNWRITTEN and not os.access(source, os.W_OK):
        return (
            "it cannot be written, and while no gateway runs there SQLite has to make files of its"
            " own next to the records to read them; mount the volume for writing, or take the"
            " back-up as the gateway's user"
        )
    return str(error)


def _lost(directory: Path) -> int:
    """Count the files that the copied records name, and that are not there.

    Only names are asked for: a copy from before an upgrade has no table of small blobs yet.
    """
    layout = Layout(directory / FOLDER)
    uri = f"{(directory / DATABASE).absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as records:
        live = records.execute("SELECT name FROM blobs WHERE state = 'live'")
        return sum(not (is_recorded(name) or layout.path(name).exists()) for (name,) in live)


def _source(settings: Settings) -> Path:
    if settings.store is not None or settings.blobs is not None:
        raise BadSettings(
            "GATEWAY_STORE or GATEWAY_BLOBS is set: back up the database and the bucket with their"
            " own tools, the database first"
        )
    try:
        with usable("GATEWAY_DATA_DIR", settings.data_dir):
            is_there = (settings.data_dir / DATABASE).exists()
            refuse_moved(settings.data_dir)  # the copy would be served next to where they went
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    if not is_there:
        raise BadSettings(f"GATEWAY_DATA_DIR {settings.data_dir} has no {DATABASE}")
    return settings.data_dir


def _copy_records(source: Path, target: Path) -> None:
    """Copy with SQLite's online back-up, which sees one moment however long it takes."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as running,
        closing(sqlite3.connect(target)) as copy,
    ):
        running.execute("BEGIN")  # what is committed meanwhile does not begin the copy anew
        running.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        running.backup(copy, pages=PAGES)


def _copy_blobs(source: Layout, target: Layout) -> int:
    target.root.mkdir(mode=0o700)
    if not source.root.exists():  # of a gateway that was never started
        return 0
    count = 0
    for entries in source.folders():
        for entry in entries:
            place = target.path(entry.name)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            count += _copy_blob(Path(entry.path), place)
    return count


def _copy_blob(source: Path, target: Path) -> int:
    """Link or copy a blob, which is never written again; 0 of one that was swept meanwhile."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        return 0
    except OSError:  # another file system, or one without links
        with named(target):
            shutil.copyfile(source, target)
        target.chmod(0o600)
    return 1
