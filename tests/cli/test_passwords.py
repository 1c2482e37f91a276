"""Passwords in URLs of settings: no command, log or error shows them."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.blobs.buckets import open_bucket
from gateway.cli.logs import FORMATS
from gateway.cli.main import main
from gateway.errors import SettingsError
from tests.every import every

# What stands between "//" and the host: encoded, and as it is typed in a hurry.
PASSWORDS = [
    pytest.param(password, id=ascii(password))
    for password in (
        "qwkzvy",
        "qwk/zvy",
        "qwk:zvy",
        "q@wkzvy",
        "qwk?zvy",
        "qwk#zvy",
        "qwk zvy",
        "qwk%zv",
        "[qwkzvy",
        "qwk,zvy",
        "qwk\u2100zvy",
        "qwk\nzvy",
        "12/qwkzvy",
    )
]
# No part of a password is told either.
PARTS = ("qwk", "zvy", "wkzvy")


def said(*arguments: str, **env: str) -> str:
    """What a command prints, and what it ended with, which is nothing but its own exit."""
    done = CliRunner().invoke(main, list(arguments), env=env)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.output


def shown(text: str) -> list[str]:
    """Parts of a password in a text."""
    return [part for part in PARTS if part in text]


@every("password", PASSWORDS)
def test_the_address_of_a_gateway_is_shown_without(password: str) -> None:
    """Whatever answers there, and also where it is no URL at all."""
    text = said("batches", OPENAI_BASE_URL=f"http://user:{password}@127.0.0.1:1/v1")
    assert "127.0.0.1:1/v1" in text
    assert not shown(text)
    assert not shown(said("status", OPENAI_BASE_URL=f"user:{password}@127.0.0.1:1/v1"))


@every("password", PASSWORDS)
def test_the_url_of_a_database_is_not_shown(
    password: str, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library cannot read it quotes, and it takes the rest of a password for the host."""
    url = f"postgresql://user:{password}@127.0.0.1:1/name"
    monkeypatch.setattr("gateway.store.postgres.START_SECONDS", 0.1)
    for settings in ({"GATEWAY_STORE": url}, {"GATEWAY_STORE": f"{url}?password={password}"}):
        blobs = {"GATEWAY_BLOBS": "s3://bucket", "GATEWAY_DATA_DIR": str(tmp_path / "replica")}
        assert not shown(said("migrate", **settings, **blobs))
        assert not shown(said("config", **settings, **blobs))
    move = ("migrate-store", "--from", str(records), "--blobs", "s3://bucket", "--to")
    assert not shown(said(*move, url))


@every("password", PASSWORDS)
@pytest.mark.parametrize("name", ["GATEWAY_GEMINI_BASE_URL", "GATEWAY_PASS_OTHERS_TO"])
def test_addresses_of_upstreams_carry_none(password: str, name: str) -> None:
    """They are refused, and are not quoted."""
    text = said("config", **{name: f"https://user:{password}@host.example"})
    assert name in text
    assert not shown(text)


@every("password", PASSWORDS)
def test_the_address_of_webhooks_is_shown_without(password: str) -> None:
    """``gateway serve`` refuses it later; ``gateway config`` lists what is there."""
    url = f"https://user:{password}@host.example/hook"
    text = said("config", GATEWAY_WEBHOOK_URL=url, GATEWAY_WEBHOOK_SECRET="whsec_aGlkZGVu")
    assert "https://***@host.example/hook" in text
    assert not shown(text)


@every("password", PASSWORDS)
def test_proxies_are_not_shown(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that cannot be used end a command with a sentence that names the variable."""
    monkeypatch.setenv("NO_PROXY", "")
    for scheme in ("http", "ftp", "socks5"):
        proxy = f"{scheme}://user:{password}@127.0.0.1:1"
        text = said("batches", HTTP_PROXY=proxy, OPENAI_BASE_URL="http://host.invalid/v1")
        assert scheme != "ftp" or "HTTP_PROXY is no URL of a proxy" in text
        text += said("doctor", HTTPS_PROXY=proxy, GEMINI_API_KEY="any")
        assert not shown(text)


@every("password", PASSWORDS)
def test_the_endpoint_of_a_bucket_is_shown_without(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the cloud's library says of its own variables quotes them."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"http://user:{password}@127.0.0.1:1")
    told = ""
    try:
        open_bucket("az://bucket")
    except SettingsError as refused:
        told = str(refused)
    assert not shown(told)


@pytest.mark.parametrize("form", FORMATS)
def test_no_log_shows_one(form: str) -> None:
    """What libraries say of URLs is logged too, such as the exporter of traces."""
    told = ("cannot parse %s, nor %s", "http://user:qwk/zvy@host:4318/v1", "//qwk@host")
    record = logging.LogRecord("requests", logging.ERROR, __file__, 0, told[0], told[1:], None)
    line = FORMATS[form]().format(record)
    assert "host:4318/v1" in line
    assert not shown(line)
