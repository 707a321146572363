# SPDX-License-Identifier: Apache-2.0
"""Plays the FaaS supervisor 1.6.2: reads an event, saves the input, runs the script, uploads.

A program that runs inside the job (`echo $EVENT | /oscar/bin/supervisor`) and imports nothing from
the sandbox. It crashes on the same events as the original, and ignores what the original ignores,
such as the script's exit code. Not simulated: dCache, Rucio, Onedata, WebDAV.

    is it JSON? -> httpMethod? -> event? -> Records? -> otherwise an unknown event, saved as it is
"""

import base64
import codecs
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

import yaml

if TYPE_CHECKING:
    from minio import Minio

log = logging.getLogger("supervisor")

CONFIG = Path("/oscar/config/function_config.yaml")
SCRIPT = Path("/oscar/config/script.sh")
PROVIDERS = Path("/var/run/secrets/providers")
# The container's memory limit in bytes.
MEMORY = Path("/sys/fs/cgroup/memory.max")
BLOCK = 1 << 16
# What PyInstaller, which packs the original, writes when an exception ends it.
FAILED = "[PYI-{pid}:ERROR] Failed to execute script 'supervisor' due to unhandled exception!"
STORAGE_SOURCES = ("aws:s3", "minio:s3", "OneTrigger")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The object that an event is about."""

    bucket: str
    key: str
    time: str


@dataclass(frozen=True, slots=True)
class Event:
    """An event; without an object, the content is the input file."""

    content: bytes
    stored: StoredObject | None = None
    problem: str = ""
    """Why the content cannot be saved; the original notices that only when it saves it."""


def parse_event(text: str) -> Event:
    """Raises an exception where the original crashes."""
    try:
        event = json.loads(text)
    except ValueError:
        return _decode(text)
    # On a string these are substring tests, on a number type errors: as in the original.
    if "httpMethod" in event:
        for name, value in (event.get("queryStringParameters") or {}).items():
            os.environ[f"CONT_VAR_{name}"] = str(value)
        return parse_event(event["body"])
    if "event" in event:
        log.info("Delegated event found.")
        return _find_delegated(event)
    if isinstance(event, str):
        return _decode(text)
    if not isinstance(event, dict):
        return Event(b"", problem=f"the JSON object must be str, not {type(event).__name__}")
    return _read_record(event)


def _decode(text: str) -> Event:
    try:
        return Event(base64.b64decode(text))
    except ValueError as error:
        return Event(b"", problem=str(error))


def _find_delegated(event: Any) -> Event:
    if "subscription" in event:
        raise NotImplementedError("dCache events are not simulated")
    inner = event["event"]
    if isinstance(inner, str):
        return parse_event(inner)
    if not isinstance(inner, dict):
        raise TypeError(f"a delegated event cannot be a {type(inner).__name__}")
    return _read_record(inner)


def _read_record(event: dict[str, Any]) -> Event:
    records = event.get("Records")
    source = records[0].get("eventSource") if records else None
    if not records or source not in STORAGE_SOURCES:
        return Event(json.dumps(event).encode())
    first = records[0]
    log.info("Storage event found.")
    key = unquote_plus(first["s3"]["object"]["key"])
    stored = StoredObject(first["s3"]["bucket"]["name"], key, str(first.get("eventTime", "")))
    return Event(json.dumps(event).encode(), stored)


def stage_in(event: Event, config: Mapping[str, Any], directory: Path) -> None:
    """Save the input file; with ``file_stage_in`` the original saves nothing, despite its name."""
    stored = event.stored
    if stored is not None:
        os.environ["STORAGE_OBJECT_KEY"] = stored.key
        os.environ["EVENT_TIME"] = stored.time
        os.environ["EVENT"] = event.content.decode()
    if config.get("file_stage_in"):
        log.info("Skipping download of input file.")
        return
    log.info("Found '%s' input provider", "LOCAL" if stored is None else "MINIO")
    if stored is not None and (client := connect(config, "minio.default")) is not None:
        path = directory / stored.key.rpartition("/")[2]
        log.info("Downloading item from bucket '%s' with key '%s'", stored.bucket, stored.key)
        with path.open("wb") as file:
            _copy(client, stored, file)
        log.info(
            "Successful download of file '%s' from bucket '%s' in path '%s'",
            stored.key, stored.bucket, path,
        )  # fmt: skip
    else:
        if event.problem:
            raise ValueError(event.problem)
        path = directory / f"event-file-{uuid.uuid4()}"
        path.write_bytes(event.content)
    os.environ["INPUT_FILE_PATH"] = str(path)
    log.info("INPUT_FILE_PATH variable set to '%s'", path)


def _copy(client: "Minio", stored: StoredObject, file: io.BufferedWriter) -> None:
    response = client.get_object(stored.bucket, stored.key)
    try:
        for block in response.stream(BLOCK):
            file.write(block)
    finally:
        response.close()
        response.release_conn()


def run_script(directory: Path, output: IO[bytes], *, live: bool) -> None:
    """The script's merged output into ``output``. Its exit code is ignored.

    The original keeps the output in memory, and dies with the container when that is full; here
    it is a file, and the death is the same.
    """
    script = SCRIPT
    if "SCRIPT" in os.environ:
        script = directory / "script.sh"
        script.write_bytes(base64.b64decode(os.environ["SCRIPT"]))
    log.info("Script file found in '%s'", script)
    if live:
        log.debug("CONTAINER OUTPUT:\n ")
    if b"LC_CTYPE=" not in Path("/proc/self/environ").read_bytes():
        os.environ.pop("LC_CTYPE", None)  # Python sets it if there is no locale
    process = subprocess.Popen(
        ["/bin/sh", str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None  # noqa: S101 - for mypy
    limit = int(MEMORY.read_text()) if MEMORY.exists() else sys.maxsize
    while block := process.stdout.readline(BLOCK) if live else process.stdout.read(BLOCK):
        output.write(block)
        if live:
            log.debug(block.decode("utf-8", "ignore").rstrip("\n"))
        if output.tell() > limit:
            os.kill(os.getpid(), signal.SIGKILL)
    process.wait()


def stage_out(config: Mapping[str, Any], directory: Path) -> None:
    log.info("Searching for files to upload in folder '%s'", directory)
    for output in config.get("output") or ():
        provider = str(output.get("storage_provider") or "minio.default")
        chosen = [(name, path) for name, path in list_files(directory) if is_wanted(name, output)]
        client = connect(config, provider) if chosen else None
        if client is None:
            if chosen:
                log.info("No credentials for '%s': output not uploaded", provider)
            continue
        where = str(output["path"]).strip(" /")
        log.info("Checking files for uploading to '%s' on path: '%s'", provider, where)
        bucket, _, folder = where.partition("/")
        for name, path in chosen:
            key = f"{folder}/{name}" if folder else name
            log.info("Uploading file '%s' to bucket '%s'", key, bucket)
            client.fput_object(bucket, key, str(path))


def is_wanted(name: str, output: Mapping[str, Any]) -> bool:
    prefixes, suffixes = tuple(output.get("prefix") or ()), tuple(output.get("suffix") or ())
    test = name.strip()
    return test.startswith(prefixes or "") and test.endswith(suffixes or "")


def list_files(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory)), path


def connect(config: Mapping[str, Any], provider: str) -> "Minio | None":
    """A client for ``minio[.<id>]``; None where there are no credentials."""
    kind, _, name = provider.partition(".")
    entry = ((config.get("storage_providers") or {}).get(kind) or {}).get(name or "default")
    if kind != "minio" or not entry:
        return None
    access_key, secret_key = entry.get("access_key"), entry.get("secret_key")
    mounted = PROVIDERS / f"minio.{name or 'default'}"
    if mounted.is_dir():
        access_key = (mounted / "accessKey").read_text()
        secret_key = (mounted / "secretKey").read_text()
    elif name in ("", "default"):
        return None
    from minio import Minio  # noqa: PLC0415 - 0.25 s, which only jobs with storage take

    url = urlsplit(entry["endpoint"])
    return Minio(
        url.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=url.scheme == "https",
        region=entry.get("region") or "us-east-1",
        cert_check=bool(entry.get("verify", True)),
    )


def respond(event: Event, output: IO[bytes], directory: Path) -> None:
    """Print the script's output, or for events without an object the output files as base64."""
    found = list(list_files(directory))
    if event.stored is not None or not found:
        output.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        while block := output.read(BLOCK):
            sys.stdout.write(decoder.decode(block))
        print(flush=True)
        return
    with ExitStack() as stack:
        if len(found) == 1:
            content: IO[bytes] = stack.enter_context(found[0][1].open("rb"))
        else:
            content = stack.enter_context(tempfile.TemporaryFile())
            with zipfile.ZipFile(content, "w") as archive:
                for name, path in found:
                    archive.write(path, name)
            content.seek(0)
        while block := content.read(3 * BLOCK):
            sys.stdout.write(base64.b64encode(block).decode())
    print(flush=True)


def main() -> int:
    config = yaml.load(CONFIG.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    level = os.environ.get("LOG_LEVEL") or config.get("log_level") or "INFO"
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s - %(name)s - %(levelname)s - %(message)s"
    )
    log.setLevel(level)
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    log.debug("EVENT received: %s", text)
    with ExitStack() as stack:
        inputs, outputs = (stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2))
        output = stack.enter_context(tempfile.TemporaryFile())
        os.environ["TMP_INPUT_DIR"], os.environ["TMP_OUTPUT_DIR"] = inputs, outputs
        try:
            event = parse_event(text)
            log.info("Reading storage configuration")
            if (user := PROVIDERS / "minio.default/accessKey").exists():
                log.info("Using MinIO credentials for user: '%s'", user.read_text())
            log.info("SUPERVISOR: Initializing Binary supervisor")
            stage_in(event, config, Path(inputs))
            run_script(Path(inputs), output, live=level == "DEBUG")
            stage_out(config, Path(outputs))
        except Exception:
            traceback.print_exc()
            print(FAILED.format(pid=os.getpid()), file=sys.stderr)
            return 1
        log.info("Creating response")
        respond(event, output, Path(outputs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
