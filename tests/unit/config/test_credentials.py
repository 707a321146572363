# SPDX-License-Identifier: Apache-2.0
"""Which credential is used for which address: sources, their order, and their binding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from coordinator.config.addresses import normalize_address
from coordinator.config.credentials import Platform
from coordinator.config.load import Config, load_config
from coordinator.config.offers import FUNCTION_CONFIG, PROVIDER_SECRETS, parse_folders
from coordinator.model.errors import ConfigError
from coordinator.model.service import Folder

ENVIRON = {
    "OSCAR_BATCH_MINIO_URL": "https://minio.env",
    "OSCAR_BATCH_MINIO_ACCESS_KEY": "env-key",
    "OSCAR_BATCH_MINIO_SECRET_KEY": "canary-env",
    "OSCAR_BATCH_OSCAR_URL": "https://oscar.env",
    "OSCAR_BATCH_OSCAR_USERNAME": "env-user",
    "OSCAR_BATCH_OSCAR_PASSWORD": "canary-env",
}
FUNCTION: dict[str, Any] = {
    "name": "oscar-batch",
    "cluster_id": "own",
    "input": [{"storage_provider": "minio.default", "path": "oscar-batch/in"}],
    "storage_providers": {
        "minio": {
            "default": {
                "endpoint": "http://minio.mount:9000",
                "verify": False,
                "access_key": "hidden",
                "secret_key": "hidden",
                "region": "us-east-1",
            }
        }
    },
    "clusters": {
        "another": {
            "endpoint": "https://oscar.another",
            "auth_user": "another-user",
            "auth_password": "canary-another",
            "ssl_verify": True,
        },
        "own": {
            "endpoint": "https://oscar.mount",
            "auth_user": "mount-user",
            "auth_password": "canary-mount",
            "ssl_verify": False,
        },
    },
}


@pytest.mark.parametrize(
    ("minio", "in_service", "variable", "allowed"),
    [
        ({}, True, "", ()),
        ({}, True, " a-*, b ,", ("a-*", "b")),
        ({}, False, "a-*", None),
        ({"url": "x.org", "access_key": "mine", "secret_key": "canary"}, True, "a-*", None),
    ],
)
def test_buckets_are_bounded_for_the_services_own_credentials_only(
    tmp_path: Path,
    minio: dict[str, str],
    in_service: bool,
    variable: str,
    allowed: tuple[str, ...] | None,
) -> None:
    root = mounted(tmp_path) if in_service else tmp_path
    environ = {**ENVIRON, "OSCAR_BATCH_BUCKETS": variable}
    raw = {"bucket": {"name": "data"}, "service": {"name": "target"}, "MinIO": minio}
    platform = Platform.from_environment(environ, root)
    assert load_config(json.dumps(raw).encode(), platform).allowed_buckets == allowed


def mounted(root: Path, function: object = FUNCTION, *, secrets: bool = True) -> Path:
    """A root directory as OSCAR prepares it for a job."""
    config = root / FUNCTION_CONFIG
    config.parent.mkdir(parents=True)
    config.write_text(function if isinstance(function, str) else yaml.safe_dump(function))
    if secrets:
        folder = root / PROVIDER_SECRETS
        folder.mkdir(parents=True)
        (folder / "accessKey").write_text("mount-key\n")
        (folder / "secretKey").write_text("canary-mount\n")
    return root


def read(platform: Platform, **sections: Any) -> Config:
    bare = {"bucket": {"name": "data"}, "service": {"name": "target"}}
    return load_config(json.dumps({**bare, **sections}).encode(), platform)


def around(root: Path, environ: dict[str, str] | None = None) -> Platform:
    return Platform.from_environment(environ or {}, root)


def test_without_anything_there_is_nothing_to_offer(tmp_path: Path) -> None:
    assert around(tmp_path) == Platform()


def test_the_environment_comes_before_the_mount(tmp_path: Path) -> None:
    config = read(around(mounted(tmp_path), ENVIRON))
    assert (config.storage.url, config.storage.access_key) == ("https://minio.env", "env-key")
    assert (config.cluster.url, config.cluster.username) == ("https://oscar.env", "env-user")


def test_the_mount_is_used_where_the_environment_says_nothing(tmp_path: Path) -> None:
    config = read(around(mounted(tmp_path)))
    assert (config.storage.url, config.storage.access_key) == (
        "http://minio.mount:9000",
        "mount-key",
    )
    assert (config.storage.region, config.storage.verify) == ("us-east-1", False)


def test_of_the_embedded_clusters_the_functions_own_comes_first(tmp_path: Path) -> None:
    cluster = read(around(mounted(tmp_path))).cluster
    assert (cluster.url, cluster.username, cluster.verify) == (
        "https://oscar.mount",
        "mount-user",
        False,
    )


def test_a_config_chooses_among_the_offers_by_address(tmp_path: Path) -> None:
    cluster = read(
        around(mounted(tmp_path)), oscar_cluster={"url": "oscar.another"}, MinIO=OWN_KEYS
    ).cluster
    assert (cluster.username, cluster.password) == ("another-user", "canary-another")


FOREIGN = {"url": "https://evil.org", "auth_basic": {"username": "u", "password": "canary"}}
OWN_KEYS = {"url": "minio.mine", "access_key": "mine", "secret_key": "canary"}


@pytest.mark.parametrize("url", ["https://evil.org", "oscar.another", "http://oscar.mount"])
@pytest.mark.parametrize("environ", [{}, ENVIRON], ids=["mounted", "variables"])
def test_no_other_cluster_says_which_buckets_the_services_own_keys_are_for(
    tmp_path: Path, environ: dict[str, str], url: str
) -> None:
    """A target's definition names buckets, so its cluster must be the one that the keys are of."""
    platform = around(mounted(tmp_path), environ)
    with pytest.raises(ConfigError, match="own MinIO credentials are not used") as caught:
        read(platform, oscar_cluster={**FOREIGN, "url": url})
    assert "canary" not in str(caught.value)
    assert read(platform, oscar_cluster={**FOREIGN, "url": url}, MinIO=OWN_KEYS)
    known = "https://oscar.mount" if not environ else "https://oscar.env"
    assert read(platform, oscar_cluster={**FOREIGN, "url": known})


def test_a_cluster_that_nothing_names_is_another_one(tmp_path: Path) -> None:
    function = {key: value for key, value in FUNCTION.items() if key != "clusters"}
    platform = around(mounted(tmp_path, function))
    with pytest.raises(ConfigError, match="OSCAR_BATCH_OSCAR_URL does not name"):
        read(platform, oscar_cluster=FOREIGN)


def test_outside_of_a_service_the_credentials_are_the_users(tmp_path: Path) -> None:
    assert read(around(tmp_path, ENVIRON), oscar_cluster=FOREIGN).cluster.url == "https://evil.org"


@pytest.mark.parametrize("name", ["OSCAR_PASSWORD", "OSCAR_USERNAME", "MINIO_SECRET_KEY"])
def test_a_variable_that_is_no_text_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"OSCAR_BATCH_{name}: is not UTF-8 text") as caught:
        around(tmp_path, {**ENVIRON, f"OSCAR_BATCH_{name}": "canary-\udcff"})
    assert "canary" not in str(caught.value)


def test_the_configs_own_credentials_come_first(tmp_path: Path) -> None:
    config = read(
        around(mounted(tmp_path), ENVIRON),
        MinIO={"url": "minio.env", "access_key": "mine", "secret_key": "own"},
        oscar_cluster={"url": "oscar.env", "auth_token": {"token": "own-token"}},
    )
    assert (config.storage.access_key, config.storage.secret_key) == ("mine", "own")
    assert (config.cluster.username, config.cluster.token) == ("", "own-token")


@pytest.mark.parametrize("scheme", ["https://", "http://", ""])
@pytest.mark.parametrize("section", ["MinIO", "oscar_cluster"])
def test_another_address_never_receives_an_offered_credential(
    tmp_path: Path, section: str, scheme: str
) -> None:
    platform = around(mounted(tmp_path), ENVIRON)
    with pytest.raises(ConfigError, match=f"{section}: no credentials for"):
        read(platform, **{section: {"url": f"{scheme}evil.example.org"}})


@pytest.mark.parametrize(
    ("section", "url"),
    [("MinIO", "http://minio.env"), ("oscar_cluster", "http://oscar.env")],
)
def test_a_credential_for_https_is_not_sent_in_plain(
    tmp_path: Path, section: str, url: str
) -> None:
    with pytest.raises(ConfigError, match="no credentials for"):
        read(around(tmp_path, ENVIRON), **{section: {"url": url}})


@pytest.mark.parametrize("url", ["minio.env", "https://MINIO.env/", "https://minio.env:443"])
def test_the_same_address_written_otherwise_is_the_same(tmp_path: Path, url: str) -> None:
    assert read(around(tmp_path, ENVIRON), MinIO={"url": url}).storage.access_key == "env-key"


def test_the_first_tools_template_without_password_uses_what_is_offered(tmp_path: Path) -> None:
    given = {
        "url": "oscar.env",
        "auth_basic": {"username": "oscar", "password": ""},
        "auth_token": {"token": ""},
    }
    assert read(around(tmp_path, ENVIRON), oscar_cluster=given).cluster.username == "env-user"


@pytest.mark.parametrize("missing", ENVIRON)
def test_an_incomplete_environment_offers_nothing(tmp_path: Path, missing: str) -> None:
    kept = {name: value for name, value in ENVIRON.items() if name != missing}
    platform = around(tmp_path, kept)
    offered = platform.storages if "MINIO" in missing else platform.clusters
    assert offered == ()


def test_a_token_in_the_environment_is_enough(tmp_path: Path) -> None:
    environ = {"OSCAR_BATCH_OSCAR_URL": "oscar.env", "OSCAR_BATCH_OSCAR_TOKEN": "canary"}
    (cluster,) = around(tmp_path, environ).clusters
    assert (cluster.url, cluster.token) == ("https://oscar.env", "canary")


def test_keys_that_old_releases_write_into_the_definition_are_used(tmp_path: Path) -> None:
    provider = {"endpoint": "http://minio", "access_key": "old", "secret_key": "canary"}
    function = {"storage_providers": {"minio": {"default": provider}}}
    (storage,) = around(mounted(tmp_path, function, secrets=False)).storages
    assert storage.access_key == "old"


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(FUNCTION | {"clusters": None}, id="hidden keys and no secret files"),
        pytest.param(
            {"storage_providers": {"minio": {"default": {"endpoint": "http://minio"}}}},
            id="no keys at all",
        ),
        pytest.param({"storage_providers": {"minio": {"default": "?"}}}, id="provider is a text"),
        pytest.param({"storage_providers": None, "clusters": []}, id="nulls and lists"),
        pytest.param({"clusters": {"own": None, "other": "?"}}, id="clusters without entries"),
        pytest.param(
            {"clusters": {"own": {"endpoint": "https://o", "auth_user": "", "auth_password": ""}}},
            id="an OIDC cluster without password",
        ),
        pytest.param("- a list", id="a list"),
        pytest.param("{broken", id="not YAML"),
    ],
)
def test_an_incomplete_mount_offers_nothing(tmp_path: Path, function: object) -> None:
    platform = around(mounted(tmp_path, function, secrets=False))
    assert (platform.storages, platform.clusters) == ((), ())


def test_the_coordinators_own_input_folders_are_known(tmp_path: Path) -> None:
    assert around(mounted(tmp_path)).own_inputs == (Folder("oscar-batch", "in/"),)


def test_a_wrong_address_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OSCAR_BATCH_MINIO_URL: must be a host"):
        around(tmp_path, ENVIRON | {"OSCAR_BATCH_MINIO_URL": "ftp://minio"})


OWN: dict[str, dict[str, Any]] = {
    "MinIO": {"url": "https://minio.own", "access_key": "own-key", "secret_key": "own-secret"},
    "oscar_cluster": {"url": "https://oscar.own", "auth_token": {"token": "own-token"}},
}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("section", list(OWN))
@pytest.mark.parametrize("key", ["verify", "ca_file"])
@pytest.mark.parametrize("named", [True, False], ids=["with the address", "without"])
def test_a_config_may_not_weaken_tls_for_the_services_own_credentials(
    tmp_path: Path, section: str, key: str, named: bool
) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    weaker: dict[str, Any] = {"verify": False, "ca_file": str(tmp_path / "ca.pem")}
    host = {"MinIO": "https://minio.env", "oscar_cluster": "https://oscar.env"}[section]
    given = {key: weaker[key], **({"url": host} if named else {})}
    with pytest.raises(ConfigError) as caught:
        read(around(tmp_path, ENVIRON), **{section: given})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{section}.{key}: cannot be changed for the service's own")


@pytest.mark.parametrize("section", list(OWN))
def test_a_config_may_set_tls_for_its_own_credentials(tmp_path: Path, section: str) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    tls = {"verify": False, "ca_file": str(tmp_path / "ca.pem")}
    config = read(around(tmp_path, ENVIRON), **{section: {**OWN[section], **tls}})
    access = config.storage if section == "MinIO" else config.cluster
    assert (access.verify, access.ca_file) == (False, str(tmp_path / "ca.pem"))


def test_a_config_may_ask_for_verification_that_the_mount_does_not(tmp_path: Path) -> None:
    config = read(around(mounted(tmp_path)), MinIO={"verify": True, "region": "eu"})
    assert (config.storage.verify, config.storage.region) == (True, "eu")


def test_a_deployer_sets_tls_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    tls = {
        "OSCAR_BATCH_MINIO_VERIFY": "false",
        "OSCAR_BATCH_OSCAR_CA_FILE": str(tmp_path / "ca.pem"),
    }
    config = read(around(tmp_path, ENVIRON | tls))
    assert (config.storage.verify, config.cluster.verify) == (False, True)
    assert config.cluster.ca_file == str(tmp_path / "ca.pem")


def test_a_wrong_switch_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OSCAR_BATCH_MINIO_VERIFY: must be true or false"):
        around(tmp_path, ENVIRON | {"OSCAR_BATCH_MINIO_VERIFY": "no"})


@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=repr)
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    section = {**OWN["MinIO"], "ca_file": str(tmp_path / "ca.pem")}
    with pytest.raises(ConfigError, match=r"MinIO\.ca_file: is no file of CA certificates"):
        read(around(tmp_path, ENVIRON), MinIO=section)


@pytest.mark.parametrize("path", ["/dev/zero", "/", "x" * 5000, "/proc/self/mem"])
def test_what_is_no_regular_file_is_no_ca_file(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"MinIO\.ca_file: "):
        read(around(tmp_path, ENVIRON), MinIO={**OWN["MinIO"], "ca_file": path})


def test_a_token_from_a_file_may_end_with_a_line_break(tmp_path: Path) -> None:
    environ = {"OSCAR_BATCH_OSCAR_URL": "https://oscar.env", "OSCAR_BATCH_OSCAR_TOKEN": "tok\r\n"}
    assert around(tmp_path, environ).clusters[0].token == "tok"


@pytest.mark.parametrize("token", ["a\nb", "ä", "a b", "\udcff"])
def test_a_token_that_no_header_can_hold_is_named(tmp_path: Path, token: str) -> None:
    environ = {"OSCAR_BATCH_OSCAR_URL": "https://oscar.env", "OSCAR_BATCH_OSCAR_TOKEN": token}
    with pytest.raises(ConfigError, match="OSCAR_BATCH_OSCAR_TOKEN: must be of ASCII") as caught:
        around(tmp_path, environ)
    assert token not in str(caught.value)


def test_own_credentials_need_an_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"MinIO\.url: is missing"):
        read(around(tmp_path, ENVIRON), MinIO={"access_key": "a", "secret_key": "b"})


def test_no_secret_is_in_the_text_of_a_platform(tmp_path: Path) -> None:
    platform = around(mounted(tmp_path), ENVIRON)
    assert "canary" not in f"{platform!r} {platform!s}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minio.example.org", "https://minio.example.org"),
        ("minio:9000", "https://minio:9000"),
        ("http://minio:9000/", "http://minio:9000"),
        ("http://minio:80", "http://minio"),
        ("HTTPS://MinIO", "https://minio"),
        (" minio ", "https://minio"),
        ("https://host/oscar/", "https://host/oscar"),
        ("http://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_an_address_has_one_form(text: str, expected: str) -> None:
    assert normalize_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "https://", "ftp://a", "a b", "http://a:x", "http://u:p@a", "http://a#b", "[::1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|usable"):
        normalize_address(text)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, ()),
        ("in", ()),
        ([None, "in", {}, {"path": ""}], ()),
        ([{"path": "/a/b/c/"}, {"path": "d"}], (Folder("a", "b/c/"), Folder("d", ""))),
    ],
    ids=["null", "a text", "no paths", "paths"],
)
def test_places_of_a_definition(raw: object, expected: tuple[Folder, ...]) -> None:
    assert parse_folders(raw) == expected
