# SPDX-License-Identifier: Apache-2.0
"""The addresses and credentials of a sandbox, in the form that each client reads."""

import shlex
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from .handle import Sandbox

NAME = "sandbox"
"""Of the remote, the alias or the cluster in the configuration of a client."""


def render_shell(box: Sandbox) -> str:
    """Variables for `eval`: those of oscar-batch, the AWS clients and mc."""
    variables = {
        "OSCAR_BATCH_OSCAR_URL": box.url,
        "OSCAR_BATCH_OSCAR_USERNAME": box.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": box.password,
        "OSCAR_BATCH_MINIO_URL": box.s3_url,
        "OSCAR_BATCH_MINIO_ACCESS_KEY": box.access_key,
        "OSCAR_BATCH_MINIO_SECRET_KEY": box.secret_key,
        "AWS_ENDPOINT_URL": box.s3_url,
        "AWS_ACCESS_KEY_ID": box.access_key,
        "AWS_SECRET_ACCESS_KEY": box.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    return "".join(lines) + render_mc(box)


def render_mc(box: Sandbox) -> str:
    """The variable of MinIO's client: `mc ls sandbox`."""
    parts = urlsplit(box.s3_url)
    keys = f"{quote(box.access_key, safe='')}:{quote(box.secret_key, safe='')}"
    return f"export MC_HOST_{NAME}={shlex.quote(f'{parts.scheme}://{keys}@{parts.netloc}')}\n"


def render_rclone(box: Sandbox) -> str:
    """A section of rclone.conf: `rclone --config FILE ls sandbox:BUCKET`."""
    return (
        f"[{NAME}]\ntype = s3\nprovider = Minio\nendpoint = {box.s3_url}\n"
        f"access_key_id = {box.access_key}\nsecret_access_key = {box.secret_key}\n"
        "region = us-east-1\n"
    )


def render_oscar_cli(box: Sandbox) -> str:
    """The config.yaml of oscar-cli: `oscar-cli --config FILE service list`."""
    return (
        f"oscar:\n  {NAME}:\n    endpoint: {box.url}\n    auth_user: {box.username}\n"
        f"    auth_password: {box.password}\n    ssl_verify: false\n    memory: 256Mi\n"
        f"    log_level: INFO\ndefault: {NAME}\n"
    )


FORMATS: Mapping[str, Callable[[Sandbox], str]] = {
    "shell": render_shell,
    "mc": render_mc,
    "rclone": render_rclone,
    "oscar-cli": render_oscar_cli,
}
