# SPDX-License-Identifier: Apache-2.0
"""`init`: writes a config without credentials, from answers, from options, or from another config.

It lists the services and buckets of the cluster, and the mode that a run with each service has.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ....config.credentials import Platform
from ....config.load import decode_config
from ....config.schema import ConfigReader
from ....drive.entering.modes import choose_mode
from ....drive.setup.survey import BucketOffer, survey_buckets, survey_services
from ....model.access import StorageAccess
from ....model.errors import BatchError, ConfigError, escape_text
from ....model.service import Folder, Mode, Service, normalize_prefix
from ....oscar.client import OscarClient
from ....storage.bucket import Bucket
from ....storage.server import list_buckets
from ...inputs import read_bytes
from ...output import hide_in_log, print_note, print_result
from ...questions import ask, ask_secret, can_ask, choose, confirm

_VARIABLES = {
    "MinIO": ("OSCAR_BATCH_MINIO_URL", "…_ACCESS_KEY", "…_SECRET_KEY"),
    "oscar_cluster": ("OSCAR_BATCH_OSCAR_URL", "…_USERNAME", "…_PASSWORD"),
}
_OSCAR_VARIABLES = ("OSCAR_BATCH_OSCAR_URL", "OSCAR_BATCH_OSCAR_USERNAME")
_RANGE_OR_EVENT = (
    ("range", "its script reads start and end from the invocation"),
    ("event", "it processes one uploaded file"),
)


def execute(arguments: argparse.Namespace) -> int:
    """Writes the config and prints the next command."""
    target: Path = arguments.output
    if target.exists() and not (arguments.force or _allows_overwriting(target)):
        raise ConfigError([f"init: {target} exists; name another file with -o, or use --force"])
    if arguments.source:
        config, said = convert(decode_config(read_bytes(arguments.source)))
    else:
        config, said = _compose(arguments)
    if problems := ConfigReader(config).problems:
        raise ConfigError(problems)
    try:
        target.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise ConfigError([f"init: cannot write {target}: {error.strerror}"]) from error
    lines = [f"{target}: written, without credentials", *(f"  {line}" for line in said)]
    print_result("\n".join([*lines, f"next: oscar-batch doctor {target}"]))
    return 0


def _allows_overwriting(target: Path) -> bool:
    return can_ask() and confirm(f"{target} exists. Overwrite it?")


def convert(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Removes credentials and empty values from a config; the config, and what to do about them.

    Raises ConfigError with all problems of the config.
    """
    if problems := ConfigReader(raw).problems:
        raise ConfigError(problems)
    config = {
        name: {key: value for key, value in section.items() if value not in ("", None)}
        if isinstance(section, dict)
        else section
        for name, section in raw.items()
    }
    for section, secrets in {
        "MinIO": ("access_key", "secret_key"),
        "oscar_cluster": ("auth_basic", "auth_token"),
    }.items():
        for name in secrets:
            config.get(section, {}).pop(name, None)
    said = [
        f"set {', '.join(_VARIABLES[section])} (the address is {config[section]['url']})"
        for section in _VARIABLES
        if config.get(section, {}).get("url")
    ]
    return {name: section for name, section in config.items() if section}, said


def _compose(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Makes a config from the options and from answers on the terminal."""
    asks = can_ask()
    missing = [f"--{name}" for name in ("service", "bucket") if not getattr(arguments, name)]
    if missing and not asks:
        raise ConfigError([f"init: {' and '.join(missing)} missing, and there is no terminal"])
    platform = _find_platform(asks and bool(missing))
    if not platform.clusters:
        note = f"not checked: {' and '.join(_OSCAR_VARIABLES)} are not set"
        return _write(arguments.service, arguments.bucket, arguments.prefix, arguments.mode), [note]
    oscar = OscarClient(platform.clusters[0])
    services = {each.service.name: each for each in survey_services(oscar)}
    if not services:
        raise ConfigError(["init: this account sees no service that processes files; deploy one"])
    about = {name: _describe(each.choice.mode) for name, each in services.items()}
    name = arguments.service or choose("Which service processes the files?", list(about.items()))
    if name not in services:
        known = ", ".join(f"{each} ({mode})" for each, mode in about.items())
        raise ConfigError([f"--service: there is no service {name}; there are {known}"])
    service = services[name].service
    data, objects = _choose_data(arguments, platform, oscar, service)
    mode = arguments.mode
    choice = choose_mode(Mode(mode or "auto"), service, data)
    if choice.mode is None and service.inputs and asks and not mode:
        mode = choose("How does it get its files?", _RANGE_OR_EVENT)
        choice = choose_mode(Mode(mode), service, data)
    if choice.mode is None:
        raise ConfigError([choice.reason])
    said = [f"mode: {choice.mode}, because {choice.reason}", f"data: {data}{objects}"]
    return _write(name, data.bucket, data.prefix, mode), said


def _find_platform(asks: bool) -> Platform:
    """The credentials of the environment; asks on the terminal for those that are not set."""
    platform = Platform.from_environment(os.environ)
    if not platform.clusters and asks:
        given = {name: ask(f"{name} (not set)") for name in _OSCAR_VARIABLES}
        given["OSCAR_BATCH_OSCAR_PASSWORD"] = ask_secret("password (it is written nowhere)")
        platform = Platform.from_environment({**os.environ, **given})
    hide_in_log(platform.secrets)
    return platform


def _choose_data(
    arguments: argparse.Namespace, platform: Platform, oscar: OscarClient, service: Service
) -> tuple[Folder, str]:
    """The data folder, and how many objects its bucket has."""
    try:
        storage = platform.storages[0] if platform.storages else oscar.read_storage()
        hide_in_log([storage.secret_key])
        offers = _survey_storage(storage, arguments.bucket)
    except BatchError as error:
        if not arguments.bucket:
            raise
        print_note(f"the bucket is not checked: {escape_text(str(error))}")
        return Folder(arguments.bucket, normalize_prefix(arguments.prefix or "")), ""
    about = {each.name: str(each) for each in offers}
    bucket = arguments.bucket
    if bucket is None:
        likely = [service.mount.bucket] if service.mount else list(service.data_buckets)
        default = next((name for name in likely if name in about), "")
        bucket = choose("Which bucket has the files?", list(about.items()), default)
    if bucket not in about:
        raise ConfigError([f"--bucket: there is no bucket {bucket} on {storage.url}"])
    prefix = arguments.prefix
    if prefix is None and can_ask():
        folders = Bucket(storage, bucket).list_folders("")[:20]
        print_note(f"  folders: {', '.join(map(escape_text, folders)) or 'none'}")
        prefix = ask("Which folder of it (empty: the whole bucket)")
    return Folder(bucket, normalize_prefix(prefix or "")), f" ({about[bucket]} in the bucket)"


def _survey_storage(storage: StorageAccess, bucket: str | None) -> tuple[BucketOffer, ...]:
    """All buckets, or the named one if it exists."""
    names = [name for name in list_buckets(storage) if bucket in {None, name}]
    if not names and bucket is None:
        raise ConfigError([f"init: this account sees no bucket on {storage.url}"])
    return survey_buckets(names, partial(Bucket, storage))


def _describe(mode: Mode | None) -> str:
    return str(mode) if mode else "needs service.mode, or a mount of the data"


def _write(service: str, bucket: str, prefix: str | None, mode: str | None) -> dict[str, Any]:
    """The config. A coordinator in the cluster takes what is left out from the cluster itself."""
    folder = {"folder_prefix": normalize_prefix(prefix)} if prefix else {}
    return {
        "bucket": {"name": bucket, **folder},
        "service": {"name": service, **({"mode": mode} if mode else {})},
    }
