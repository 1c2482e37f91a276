"""What the composition root refuses to start on."""

from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.errors import SettingsError
from gateway.settings.load import load


async def test_a_lost_database_beside_files_stops_the_start(tmp_path: Path) -> None:
    """Starting as new would sweep what a backup of the database still points at."""
    settings, _ = load(
        {
            "GATEWAY_DATA_DIR": str(tmp_path),
            "GATEWAY_PORT": "0",
            "GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1:9",
        }
    )
    blob = tmp_path / "blobs" / "ab" / "abc"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"paid for")
    (tmp_path / "gateway.sqlite3").touch()

    with pytest.raises(SettingsError, match="missing or empty"):
        await Gateway(settings).serve(print)
    assert blob.read_bytes() == b"paid for"
