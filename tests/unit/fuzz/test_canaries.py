# SPDX-License-Identifier: Apache-2.0
"""Typing errors near secrets, and servers that repeat them: no message shows a piece of one."""

from __future__ import annotations

import json
import os
import random
from base64 import b64encode
from collections.abc import Callable

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.model.errors import ClusterError, ConfigError, clean_foreign
from coordinator.oscar.answers import Answer, check_status, judge_reply

CASES = int(os.environ.get("OSCAR_BATCH_FUZZ", "10000"))
SEED = 20261124
ACCESS_SECRET, PASSWORD, TOKEN = "k3yQwv7Zx9TjLpRs", "pW8uNc4Yd2HfGbMa", "tK6eVo1Ji5SzXrCq"
REFRESH_TOKEN = "rH4mBq7Fd9WnUsEy"
SECRETS = (ACCESS_SECRET, PASSWORD, TOKEN, REFRESH_TOKEN)
OIDC = {"token_endpoint": "idp.example.org/token", "client_id": "cli"}
PIECE = 7
PIECES = {secret[i : i + PIECE] for secret in SECRETS for i in range(len(secret) - PIECE + 1)}

DOCUMENT = {
    "MinIO": {"url": "minio.example.org", "access_key": "reader", "secret_key": ACCESS_SECRET},
    "bucket": {"name": "data", "min_size": 5},
    "oscar_cluster": {
        "url": "oscar.example.org",
        "auth_basic": {"username": "oscar", "password": PASSWORD},
        "auth_token": {"token": TOKEN, "refresh_token": REFRESH_TOKEN, **OIDC},
    },
    "service": {"name": "target"},
}
BLOCK = f"""\
MinIO:
  url: minio.example.org
  access_key: reader
  secret_key: {ACCESS_SECRET}
bucket: {{name: data, min_size: 5}}
oscar_cluster:
  url: oscar.example.org
  auth_basic:
    username: oscar
    password: "{PASSWORD}"
  auth_token:
    token: '{TOKEN}'
    refresh_token: {REFRESH_TOKEN}
    token_endpoint: idp.example.org/token
    client_id: cli
service:
  name: target
"""
FORMS = [json.dumps(DOCUMENT), json.dumps(DOCUMENT, indent=1), BLOCK, BLOCK.replace(": ", ":  ")]
ADDED = [
    *("!", "!!bool ", "!!int ", "!!binary ", "!x!", "&", "*", "<<: ", "? ", "- ", "|", ">", "%"),
    *(
        ":",
        ": ",
        ",",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "\\",
        "\\u",
        "#",
        " ",
        "\n",
        "\n  ",
        "\t",
        "\x00",
    ),
    *(
        "bucket: ",
        "min_size: ",
        "url: ",
        "name: ",
        '"x":',
        "secret",
        "password:",
        "https://u:",
        "=",
    ),
]


def make_typing_error(chance: random.Random, text: str) -> str:
    """The text with a few small errors, most of them near a secret."""
    for _ in range(chance.randint(1, 3)):
        near = text.find(chance.choice(SECRETS))
        near = near if near >= 0 and chance.random() < 0.8 else chance.randrange(len(text) + 1)
        at = min(max(near + chance.randint(-14, 22), 0), len(text))
        size = chance.randint(1, 4)
        action = chance.randrange(4)
        if action == 0:
            text = text[:at] + text[at + size :]
        elif action == 1:
            text = text[:at] + chance.choice(ADDED) + text[at:]
        elif action == 2:
            text = text[:at] + text[at : at + size] + text[at:]
        else:
            lines = text.split("\n")
            lines.insert(chance.randrange(len(lines) + 1), lines[chance.randrange(len(lines))])
            text = "\n".join(lines)
    return text


def check(shown: str, case: object) -> None:
    assert not [piece for piece in PIECES if piece in shown], (shown, case)


def test_no_typing_error_brings_a_piece_of_a_secret_into_a_message() -> None:
    chance, refused = random.Random(SEED), 0
    for _ in range(CASES // 2):
        text = make_typing_error(chance, chance.choice(FORMS))
        try:
            config = load_config(text.encode(), Platform())
        except ConfigError as error:
            refused += 1
            check(" ".join([*error.problems, str(error)]), text)
        else:
            check(f"{config!r} {config.describe()}", text)
    assert refused > CASES // 4, "the errors must be errors"


ECHOES: list[Callable[[str], str]] = [
    lambda sent: f"Authorization: {sent}",
    lambda sent: f"headers={{'Authorization': '{sent}', 'Host': 'x'}}",
    lambda sent: json.dumps({"request": {"authorization": [sent]}}),
    lambda sent: f"https://oscar:{PASSWORD}@oscar.example.org/",
    lambda sent: f"token={TOKEN}&password={PASSWORD}",
    lambda sent: f"<SecretAccessKey>{ACCESS_SECRET}</SecretAccessKey>",
    lambda sent: f"the pair oscar:{PASSWORD} is wrong",
    lambda sent: f"{sent.partition(' ')[2]} has expired",
    lambda sent: f"Bearer {TOKEN}",
    lambda sent: f'jobs.batch "{sent}" already exists',
]


def answer(chance: random.Random) -> Answer:
    """An answer that repeats what was sent, somewhere in other text."""
    pair = f"oscar:{PASSWORD}"
    basic = chance.random() < 0.5
    sent = f"Basic {b64encode(pair.encode()).decode()}" if basic else f"Bearer {TOKEN}"
    known = [each for each in ECHOES if basic or "oscar:" not in each(sent)]
    text = chance.choice(known)(sent)
    before, after = ("".join(chance.choices(" ab<\n\"':;{}", k=chance.randrange(9))) for _ in "ab")
    return Answer(
        chance.choice([301, 302, 400, 401, 403, 404, 409, 500, 502, 503]),
        before + text + after,
        location=chance.choice(["", before + text + after]),
        secrets=(pair, PASSWORD) if basic else (TOKEN,),
    )


def test_no_server_that_repeats_what_it_was_sent_brings_it_into_a_message() -> None:
    chance = random.Random(SEED)
    for _ in range(CASES // 2):
        said = answer(chance)
        with pytest.raises(ClusterError) as caught:
            check_status(said, "read the release")
        check(f"{caught.value} {judge_reply(said, 'job').detail}", said)


def test_a_storage_secret_in_an_error_of_the_storage_is_not_shown() -> None:
    check(clean_foreign(f"the key {ACCESS_SECRET} is wrong", [ACCESS_SECRET]), "")
