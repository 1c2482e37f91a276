"""Settings: typed, checked at start, named in every complaint."""

import os
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.settings.load import describe, load, usable_cpus
from gateway.settings.secret_files import SecretFiles
from gateway.settings.table import SETTINGS
from gateway.settings.values import ApiKey, Secret, is_loopback
from gateway.translate import Policy
from tests.every import in_one_item

KEY = {"GEMINI_API_KEY": "AIza-test"}

# What kubelet sets in a pod beside a Service called "gateway" with two ports.
KUBERNETES = {
    "GATEWAY_SERVICE_HOST": "10.0.0.11",
    "GATEWAY_SERVICE_PORT": "8080",
    "GATEWAY_SERVICE_PORT_HTTP": "8080",
    "GATEWAY_PORT": "tcp://10.0.0.11:8080",
    "GATEWAY_PORT_8080_TCP": "tcp://10.0.0.11:8080",
    "GATEWAY_PORT_8080_TCP_PROTO": "tcp",
    "GATEWAY_PORT_8080_TCP_PORT": "8080",
    "GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.11",
    "GATEWAY_PORT_53_UDP": "udp://10.0.0.11:53",
    "GATEWAY_PORT_53_UDP_ADDR": "10.0.0.11",
}


def test_defaults_are_the_fixed_ones() -> None:
    """The defaults that the documentation names."""
    settings, warnings = load(KEY)

    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.data_dir == Path("gateway-data")
    assert settings.gemini_api_version == "v1beta"
    assert (settings.poll_min_seconds, settings.poll_max_seconds) == (5, 60)
    assert (settings.retry_min_seconds, settings.retry_max_seconds) == (1, 300)
    assert settings.settle_seconds == 180
    assert (settings.inline_max_bytes, settings.inline_max_items) == (1 << 20, 100)
    assert (settings.items_per_job, settings.bytes_per_job) == (50_000, 512 << 20)
    assert (settings.max_file_bytes, settings.max_lines) == (2 << 30, 1_000_000)
    assert (settings.max_items, settings.max_line_bytes) == (1_000_000, 32 << 20)
    assert (settings.max_reported_errors, settings.drain_seconds) == (1000, 20)
    assert 1 <= settings.translate_workers <= 4
    assert warnings == []


def test_names_follow_from_fields() -> None:
    """All but Google's own name of its key."""
    others = {row.name: row.field for row in SETTINGS if row.name != f"GATEWAY_{row.field.upper()}"}

    assert others == {
        "GEMINI_API_KEY": "gemini_api_key",
        "GEMINI_API_KEYS": "gemini_api_keys",
    }


def test_the_policy_is_the_marked_settings() -> None:
    """translate/ may not import settings/: so each member is declared there as well, by name."""
    marked = {row.field for row in SETTINGS if row.policy}
    members = {member.name for member in fields(Policy)}

    assert marked == members - {"aliases"} | {"model_aliases"}


def test_an_unknown_name_stops_the_start_and_suggests() -> None:
    """A typing error must not be ignored in silence."""
    with pytest.raises(SettingsError, match=r"GATEWAY_POTR is no setting.*GATEWAY_PORT"):
        load(KEY | {"GATEWAY_POTR": "1"})


@in_one_item
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_PORT", "70000"),
        ("GATEWAY_POLL_MIN_SECONDS", "soon"),
        ("GATEWAY_POLL_MIN_SECONDS", "-1"),
        ("GATEWAY_RETRY_MAX_SECONDS", "nan"),
        ("GATEWAY_MAX_FILE_BYTES", "2 GB"),
        ("GATEWAY_RECORDED_BLOB_BYTES", "1048577"),  # a row is read in the event loop
        ("GATEWAY_RECORDED_BLOB_BYTES", "2 MiB"),
        ("GATEWAY_MODEL_ALIASES", "[1]"),
        ("GATEWAY_MODEL_ALIASES", "{"),
        ("GATEWAY_GEMINI_BASE_URL", "ftp://x"),
        ("GATEWAY_GEMINI_BASE_URL", "https://user:pw@x"),
        ("GATEWAY_GEMINI_API_VERSION", "../x"),
        ("GATEWAY_GEMINI_API_VERSION", "v2"),
        ("GATEWAY_GEMINI_BASE_URL", "https://x/y"),
        ("GATEWAY_GEMINI_BASE_URL", "http://example.org"),
        ("GATEWAY_API_KEYS", "a="),
        ("GATEWAY_API_KEYS", "a b=x"),
        ("GATEWAY_API_KEYS", "# a comment\na=x"),
        ("GATEWAY_ITEMS_PER_JOB", "0"),
        ("GATEWAY_API_KEYS", "a=s1,b=s1"),
        ("GATEWAY_LOG_LEVEL", "loud"),
        ("GATEWAY_HOST", " "),
        ("GATEWAY_AUTH", "none"),
        ("GATEWAY_AUTH", "keys"),  # and there are none
        ("GATEWAY_AUTH", "pass-through"),  # and nothing to seal them with
        ("GATEWAY_ENCRYPTION_KEY", "c2hvcnQ="),
        ("GATEWAY_ENCRYPTION_KEY", "no base64!"),
        ("GATEWAY_WEBHOOK_SECRET", "whsec_"),
        ("GATEWAY_WEBHOOK_SECRET", "whsec_no base64!"),
        ("GATEWAY_WEBHOOK_URL", "https://example.com/"),  # without a secret
        ("GATEWAY_WEBHOOK_RETRY_MIN_SECONDS", "4000"),
        ("GATEWAY_PASS_OTHERS_TO", "https://api.openai.com/v1"),  # without a key of its own
        ("GATEWAY_PASS_OTHERS_TO", "http://api.openai.com/v1"),
        ("GATEWAY_PASS_OTHERS_TO", "https://user:word@api.openai.com/v1"),
        ("GATEWAY_PASS_OTHERS_KEY", "sk-x"),
        ("GEMINI_API_KEY", ""),
    ],
)
def test_a_bad_value_stops_the_start_and_is_named(name: str, value: str) -> None:
    """The message names the setting, never a secret's value."""
    with pytest.raises(SettingsError, match=name):
        load(KEY | {name: value})


@pytest.mark.parametrize(("value", "size"), [("1 MiB", 1 << 20), ("0", 0)])
def test_the_most_that_a_row_may_hold(value: str, size: int) -> None:
    """Nothing at all, too."""
    settings, _ = load(KEY | {"GATEWAY_RECORDED_BLOB_BYTES": value})
    assert settings.recorded_blob_bytes == size


SEALING = "c2VhbGluZyBrZXkgb2YgdGhlIHRlc3QsIDMyIGJ5dCE="


@pytest.mark.parametrize(
    ("others", "named"),
    [
        (KEY, "GEMINI_API_KEY is set"),
        ({"GEMINI_API_KEYS": "a=b"}, "GEMINI_API_KEYS is set"),
        ({"GATEWAY_API_KEYS": "a=b"}, "GATEWAY_API_KEYS is set"),
        (
            {"GATEWAY_PASS_OTHERS_TO": "https://o.example", "GATEWAY_PASS_OTHERS_KEY": "sk-x"},
            "GATEWAY_PASS_OTHERS_TO is set",
        ),
    ],
)
def test_pass_through_takes_no_other_keys(others: dict[str, str], named: str) -> None:
    """They would not be used, and it would not be seen. Without them none is needed."""
    mode = {"GATEWAY_AUTH": "pass-through", "GATEWAY_ENCRYPTION_KEY": SEALING}
    settings, _ = load(mode | {"GATEWAY_HOST": "0.0.0.0"})
    assert settings.auth == "pass-through"
    assert SEALING not in str(list(describe(settings)))
    with pytest.raises(SettingsError, match=named):
        load(mode | others)


def test_open_and_keys_exclude_each_other() -> None:
    """Keys that are not looked at would be thought to protect."""
    with pytest.raises(SettingsError, match="GATEWAY_AUTH is open"):
        load(KEY | {"GATEWAY_AUTH": "open", "GATEWAY_API_KEYS": "a=b"})
    with pytest.raises(SettingsError, match="other machines can reach"):
        load(KEY | {"GATEWAY_AUTH": "open", "GATEWAY_HOST": "0.0.0.0"})
    assert load(KEY | {"GATEWAY_AUTH": "keys", "GATEWAY_API_KEYS": "a=b"})[0].auth == "keys"


def test_all_problems_are_reported_at_once() -> None:
    """One start shows every mistake."""
    with pytest.raises(SettingsError, match=r"GATEWAY_X .*GATEWAY_PORT"):
        load(KEY | {"GATEWAY_X": "1", "GATEWAY_PORT": "x"})


def test_what_kubernetes_injects_is_ignored_with_one_warning() -> None:
    """A Service called gateway must not stop the start."""
    settings, warnings = load(KEY | KUBERNETES)

    assert settings.port == 8080
    assert len(warnings) == 1
    assert all(name in warnings[0] for name in KUBERNETES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_METRICS_PORT", "tcp://10.0.0.12:9090"),
        ("GATEWAY_METRICS_SERVICE_HOST", "10.0.0.12"),
        ("GATEWAY_METRICS_SERVICE_PORT_HTTP", "9090"),
        ("GATEWAY_POSTGRESQL_PORT_5432_TCP_ADDR", "10.0.0.13"),
        ("GATEWAY_POSTGRESQL_PORT_5432_TCP", "tcp://10.0.0.13:5432"),
        ("GATEWAY_DNS_PORT_53_SCTP_PROTO", "sctp"),
    ],
)
def test_services_whose_name_begins_with_gateway_are_ignored(name: str, value: str) -> None:
    """gateway-metrics and gateway-postgresql stopped the start."""
    _, (warning,) = load(KEY | {name: value})

    assert name in warning
    assert "enableServiceLinks" in warning


def test_googles_own_name_of_the_key_is_named() -> None:
    """GOOGLE_API_KEY belongs to other programs: it is not read, but people look there."""
    with pytest.raises(SettingsError, match=r"type GEMINI_API_KEY=\$GOOGLE_API_KEY"):
        load({"GOOGLE_API_KEY": "AIza"})

    assert load(KEY | {"GOOGLE_API_KEY": "AIza"})[1] == []


def test_the_key_with_the_gateways_prefix_is_named() -> None:
    """The message gives the right name, not the nearest one."""
    with pytest.raises(SettingsError, match="the key for Google is GEMINI_API_KEY") as caught:
        load({"GATEWAY_GEMINI_API_KEY": "AIza"})

    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", ["GEMINI_APIKEY", "GEMINI_API_KEY_FILES", "GEMINI_KEY"])
def test_misspelt_names_of_the_key_are_reported(name: str) -> None:
    """In the message that the key is missing, and as a warning when it is not."""
    with pytest.raises(SettingsError, match=f"{name} is not read .did you mean GEMINI_API_KEY"):
        load({name: "AIza"})

    _, (warning,) = load(KEY | {name: "AIza", "GEMINI_MODEL": "of another program"})
    assert warning.startswith(f"{name} is not read")


def test_an_open_host_says_what_to_type() -> None:
    """The image listens on all interfaces: this is the first thing its users read."""
    with pytest.raises(SettingsError) as caught:
        load(KEY | {"GATEWAY_HOST": "0.0.0.0"})

    for words in (
        "GATEWAY_API_KEYS=NAME=SECRET",
        "GATEWAY_API_KEYS_FILE",
        "GATEWAY_HOST=127.0.0.1",
    ):
        assert words in str(caught.value)


def test_a_machine_without_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Such as macOS, which has no sched_getaffinity (unproven beyond that: no test runs there)."""
    monkeypatch.delattr(os, "sched_getaffinity")

    assert usable_cpus(tmp_path) == os.cpu_count()
    assert load(KEY)[0].translate_workers >= 1


def test_secrets_come_from_files(tmp_path: Path) -> None:
    """NAME_FILE, as mounted secrets are."""
    secret = tmp_path / "key"
    secret.write_text("AIza-file\n")

    settings, _ = load({"GEMINI_API_KEY_FILE": str(secret)})

    assert settings.gemini_api_key == Secret("AIza-file")


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """The message names setting and path."""
    with pytest.raises(SettingsError, match=r"GEMINI_API_KEY cannot be read.*nowhere"):
        load({"GEMINI_API_KEY_FILE": str(tmp_path / "nowhere")})


def test_a_secret_from_both_places_is_refused(tmp_path: Path) -> None:
    """Nobody should have to guess which one wins."""
    with pytest.raises(SettingsError, match="both set"):
        load(KEY | {"GEMINI_API_KEY_FILE": str(tmp_path)})


def test_no_start_without_a_key_for_google() -> None:
    """Except against a loopback upstream."""
    with pytest.raises(SettingsError, match="GEMINI_API_KEY is not set"):
        load({})

    settings, _ = load({"GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1:9/"})

    assert settings.gemini_api_key is None
    assert settings.gemini_base_url == "http://127.0.0.1:9"


def test_open_hosts_need_credentials() -> None:
    """Without keys the gateway is for this machine only."""
    with pytest.raises(SettingsError, match="GATEWAY_API_KEYS"):
        load(KEY | {"GATEWAY_HOST": "0.0.0.0"})

    settings, _ = load(KEY | {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_API_KEYS": "team=s"})

    assert settings.api_keys == (ApiKey("team", Secret("s")),)


def test_api_keys_with_and_without_names() -> None:
    """A base64 secret that ends in '=' is no name."""
    settings, _ = load(KEY | {"GATEWAY_API_KEYS": "a=s1, plain\nc2VjcmV0==,"})

    assert [(k.owner, k.secret.value) for k in settings.api_keys] == [
        ("a", "s1"),
        (None, "plain"),
        (None, "c2VjcmV0=="),
    ]


def test_bounds_must_not_cross() -> None:
    """A minimum above its maximum is a mistake."""
    with pytest.raises(SettingsError, match="GATEWAY_POLL_MIN_SECONDS"):
        load(KEY | {"GATEWAY_POLL_MIN_SECONDS": "61"})


def test_shown_settings_hide_secrets() -> None:
    """What `gateway config` prints."""
    settings, _ = load(KEY | {"GATEWAY_API_KEYS": "a=hush-1,hush-2"})
    shown = dict(describe(settings))

    assert shown["GEMINI_API_KEY"] == "***"
    assert shown["GATEWAY_API_KEYS"] == "a=***, ***"
    assert "hush" not in repr(settings)
    assert "AIza" not in repr(settings)
    assert list(shown) == [setting.name for setting in SETTINGS]


def test_usable_cpus_obey_the_cgroup(tmp_path: Path) -> None:
    """The quota counts, not the host."""
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cpus(tmp_path) == 1

    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cpus(tmp_path) == usable_cpus(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("x.org", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    """Only addresses that cannot be reached from outside count."""
    assert is_loopback(host) is loopback


def test_several_keys_for_google() -> None:
    """Each has a name; one key alone and several are two ways to say it."""
    settings, _ = load({"GEMINI_API_KEYS": "default=AIza-1, second=AIza-2\n"})

    assert [name for name, _ in settings.gemini_api_keys] == ["default", "second"]
    assert "AIza" not in str(dict(describe(settings)))
    with pytest.raises(SettingsError, match="both set"):
        load(KEY | {"GEMINI_API_KEYS": "a=AIza-1"})
    for bad in ("AIza-1", "a=", "a=x,a=y", "a=x,b=x", "a b=x"):
        with pytest.raises(SettingsError, match=r"GEMINI_API_KEYS (holds|lists)") as error:
            load({"GEMINI_API_KEYS": bad})
        assert "AIza" not in str(error.value)


def test_a_secret_is_read_again_when_its_file_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be used changes nothing, and is told once; no secret is."""
    path = tmp_path / "keys"
    path.write_text("me=secret-1")
    files = SecretFiles({"GATEWAY_API_KEYS_FILE": str(path)})
    assert files.changed() == {}

    for broken in ("", "me=", "me=secret-1 x"):
        path.write_text(broken)
        assert files.changed() == {}
        assert files.changed() == {}
    path.unlink()
    assert files.changed() == {}
    path.write_text("me=secret-2")

    assert files.changed() == {"api_keys": (ApiKey("me", Secret("secret-2")),)}
    assert files.changed() == {}
    assert len(caplog.records) == 4
    assert "secret-" not in caplog.text
