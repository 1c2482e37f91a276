"""The gateway as its next version may be: it has one more migration, and migrates as it starts."""

import asyncio

import pytest

from gateway.app import Gateway
from gateway.cli.logs import set_up_logs
from gateway.settings.load import load
from gateway.store import migrate, postgres

# By the rules of gateway/store/README.md: what is there grows, and nothing is taken away.
NAME = "9999_next.sql"
TEXT = """
ALTER TABLE batches ADD COLUMN later TEXT;
ALTER TABLE jobs ADD COLUMN later INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN later TEXT;
ALTER TABLE quotas ADD COLUMN later INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_later ON jobs (later);
CREATE TABLE later (id TEXT PRIMARY KEY) STRICT;
"""


def main() -> None:
    """``python -m tests.e2e.next_version``; settings come from the environment."""
    settings, _ = load()
    set_up_logs(settings.log_level, settings.log_format)
    with pytest.MonkeyPatch.context() as patch:
        migrations = [*migrate.read_migrations(), (NAME, TEXT)]
        patch.setattr(postgres, "read_migrations", lambda: migrations)
        serve = Gateway(settings).serve
        asyncio.run(serve(lambda url: print(f"gateway listening on {url}/v1", flush=True)))


if __name__ == "__main__":
    main()
