# SPDX-License-Identifier: Apache-2.0
"""A refresh token goes to the endpoint that it came with, over TLS, or nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.load import Config, load_config
from coordinator.drive.entering.preflight import warn_unverified
from coordinator.model.access import OidcAccess
from coordinator.model.errors import ConfigError

ENVIRON = {
    "OSCAR_BATCH_OSCAR_URL": "oscar.env",
    "OSCAR_BATCH_OSCAR_TOKEN_ENDPOINT": "https://idp.env/token/",
    "OSCAR_BATCH_OSCAR_CLIENT_ID": "env-client",
    "OSCAR_BATCH_OSCAR_REFRESH_TOKEN": "canary-env\n",
}
OF_ENVIRON = OidcAccess("https://idp.env/token/", "env-client", "canary-env")
OWN = {
    "token_endpoint": "idp.own/realms/a/token",
    "client_id": "own client",
    "refresh_token": "canary-own",
}
OF_CONFIG = OidcAccess("https://idp.own/realms/a/token", "own client", "canary-own")


def read(environ: dict[str, str], **cluster: Any) -> Config:
    raw = {
        "MinIO": {"url": "minio.own", "access_key": "k", "secret_key": "canary-minio"},
        "bucket": {"name": "data"},
        "service": {"name": "target"},
        "oscar_cluster": cluster,
    }
    platform = Platform.from_environment(environ, Path("/nonexistent"))
    return load_config(json.dumps(raw).encode(), platform)


def problems(environ: dict[str, str], **cluster: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read(environ, **cluster)
    assert "canary" not in str(caught.value)
    return str(caught.value)


def test_a_config_gives_its_own() -> None:
    cluster = read(ENVIRON, url="oscar.own", auth_token=OWN).cluster
    assert (cluster.url, cluster.oidc) == ("https://oscar.own", OF_CONFIG)


def test_the_environment_gives_the_services(tmp_path: Path) -> None:
    cluster = read(ENVIRON).cluster
    assert (cluster.url, cluster.oidc) == ("https://oscar.env", OF_ENVIRON)


def test_the_services_is_bound_to_its_cluster() -> None:
    assert "no credentials for https://oscar.own" in problems(ENVIRON, url="oscar.own")


@pytest.mark.parametrize("missing", OWN)
def test_the_services_refresh_token_goes_to_no_endpoint_of_a_config(missing: str) -> None:
    part = {name: value for name, value in OWN.items() if name != missing}
    assert f"belong together; {missing} is missing" in problems(ENVIRON, auth_token=part)


def test_a_config_needs_the_address_that_its_tokens_are_for() -> None:
    assert "oscar_cluster.url: is missing (the address" in problems(ENVIRON, auth_token=OWN)


@pytest.mark.parametrize("missing", sorted(ENVIRON.keys() - {"OSCAR_BATCH_OSCAR_URL"}))
def test_a_part_of_the_environments_is_an_error(missing: str) -> None:
    part = {name: value for name, value in ENVIRON.items() if name != missing}
    assert f"{missing}: is missing beside OSCAR_BATCH_OSCAR_" in problems(part)


PLAIN = {**OWN, "token_endpoint": "http://idp.own/token"}
PLAIN_ENVIRON = {**ENVIRON, "OSCAR_BATCH_OSCAR_TOKEN_ENDPOINT": "http://idp.env/token"}
REASON = "must be https, because the refresh token is sent there (unless {} is false)"


def test_a_refresh_token_is_not_sent_without_tls() -> None:
    said = problems({}, url="oscar.own", auth_token=PLAIN)
    assert REASON.format("oscar_cluster.verify") in said
    assert REASON.format("OSCAR_BATCH_OSCAR_VERIFY") in problems(PLAIN_ENVIRON)


def test_whose_it_is_may_send_it_without_tls_and_the_report_says_so() -> None:
    config = read({}, url="oscar.own", auth_token=PLAIN, verify=False)
    assert config.cluster.oidc is not None
    warnings = warn_unverified(config.storage, config.cluster)
    assert "the refresh token goes to http://idp.own/token without TLS" in warnings
    allowed = {**PLAIN_ENVIRON, "OSCAR_BATCH_OSCAR_VERIFY": "false"}
    assert read(allowed).cluster.oidc is not None


def test_a_config_may_not_send_the_services_without_tls() -> None:
    assert "oscar_cluster.verify: cannot be changed" in problems(ENVIRON, verify=False)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("token_endpoint", "ftp://idp", "must be a host or an http(s) address"),
        ("token_endpoint", "https://canary-user:canary-pass@idp/t", "must not contain credentials"),
        ("token_endpoint", "https://idp/token?client=canary", "must be an address without ?"),
        ("refresh_token", "canary own", "must be of ASCII characters, without blanks"),
        ("client_id", 5, "must be a string"),
    ],
)
def test_bad_values(key: str, value: object, said: str) -> None:
    text = problems({}, url="oscar.own", auth_token={**OWN, key: value})
    assert f"oscar_cluster.auth_token.{key}: {said}" in text


def test_the_secrets_are_known_and_in_no_repr() -> None:
    config = read(ENVIRON, url="oscar.own", auth_token=OWN)
    assert "canary-own" in config.secrets
    platform = Platform.from_environment(ENVIRON, Path("/nonexistent"))
    assert platform.secrets == ("canary-env",)
    assert "canary-" not in f"{config!r} {platform!r}"
