# SPDX-License-Identifier: Apache-2.0
"""The command line: up, down and status. Only this module prints, and returns the exit code."""

import argparse
import asyncio
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from . import extras, look, state
from .api import status_shapes
from .api.listener import HOST
from .api.routes import STATUS_FAILURE
from .client_settings import FORMATS
from .cluster.latencies import parse_latencies
from .cluster.profiles import NEWEST, PROFILES
from .cluster.resources import parse_nodes
from .jobs.pods import parse_image
from .state import StateError
from .storage.backends import VARIABLE, parse_backend
from .storage.servers import StorageError
from .up import CannotRun, Options, serve

T = TypeVar("T")

DETACH_WAIT_S = 30.0
PR_SET_PDEATHSIG = 1


def main() -> int:
    arguments = _make_parser().parse_args()
    try:
        return int(arguments.verb(arguments))
    except (CannotRun, StateError, StorageError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description="A local OSCAR.")
    verbs = parser.add_subparsers(required=True)
    up = verbs.add_parser("up", help="run a sandbox until it is stopped")
    up.set_defaults(verb=_execute_up)
    _add_options(up)
    _add_start(up)
    _add_release(up)
    down = verbs.add_parser("down", help="end a sandbox and all it started")
    down.set_defaults(verb=_execute_down)
    show = verbs.add_parser("status", help="say whether a sandbox is up, and where")
    show.set_defaults(verb=_execute_status)
    environment = verbs.add_parser("env", help="print what clients need to reach a sandbox")
    environment.set_defaults(verb=_execute_env)
    environment.add_argument("--format", choices=FORMATS, default="shell", help="(shell)")
    services = verbs.add_parser("services", help="list the services with their jobs")
    services.set_defaults(verb=_execute_services)
    logs = verbs.add_parser("logs", help="print the log of a job (the newest one)")
    logs.set_defaults(verb=_execute_logs)
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("job", nargs="?", metavar="JOB")
    for verb in (up, down, show, environment, services, logs):
        verb.add_argument("--state", type=Path, default=look.DEFAULT_STATE, metavar="DIR")
    return parser


def _add_options(up: argparse.ArgumentParser) -> None:
    """Options of the sandbox itself."""
    add = up.add_argument
    add("--ready-file", type=Path, help="write URLs and credentials there when up")
    add("--address", type=_check_loopback, default=HOST, help="loopback, and nothing else")
    add("--port", type=int, default=0, help="of the OSCAR API; 0 picks a free one")
    add(
        "--nodes",
        type=_describe_error(parse_nodes),
        default="2x4:8Gi",
        help="e.g. 2x4:8Gi,1x8:16Gi:gpu=1:speed=0.5",
    )
    add(
        "--image",
        type=_describe_error(parse_image),
        action="append",
        default=[],
        metavar="NAME=HOSTDIR:/PATH",
        help="show HOSTDIR at /PATH in jobs of the image NAME; repeatable",
    )
    add(
        "--storage",
        type=_describe_error(parse_backend),
        default=os.environ.get(VARIABLE) or "seaweedfs",
        metavar="seaweedfs|minio|s3=URL",
        help=f"the S3 server; the variable {VARIABLE} sets the default",
    )
    add(
        "--without-fuse",
        action="store_true",
        help="simulate mounts by copying, as where FUSE does not work",
    )


def _add_start(up: argparse.ArgumentParser) -> None:
    """Options of how it starts and ends, and with what."""
    add = up.add_argument
    add(
        "--cors",
        action="store_true",
        help="let pages of other origins call OSCAR, as the route of its Helm chart does",
    )
    add(
        "--with",
        dest="extras",
        choices=("examples",),
        help="also deploy the coordinator and the examples, with some data each",
    )
    add("--detach", action="store_true", help="return when it is up")
    add("--die-with-parent", action="store_true", help="end when the starting process ends")
    add(
        "--chaos",
        action="store_true",
        help="offer /_sandbox/, which makes failures of real clusters happen",
    )


def _add_release(up: argparse.ArgumentParser) -> None:
    """Options of the cluster that it plays."""
    add = up.add_argument
    add("--profile", choices=PROFILES, default=NEWEST.name, help="the release of OSCAR to play")
    add(
        "--status-shape",
        choices=(*status_shapes.SHAPES, STATUS_FAILURE),
        default="",
        help="of /system/status, if not the profile's; 500 fails as a cluster without metrics does",
    )
    add(
        "--job-ttl",
        type=float,
        metavar="SECONDS",
        help="ended jobs vanish after this time, if not the profile's",
    )
    add(
        "--request-budget",
        action="store_true",
        help="the manager makes 5 Kubernetes calls a second, 10 at once",
    )
    add(
        "--storage-restarts",
        action="store_true",
        help="restart the storage when a service is created or deleted",
    )
    add(
        "--latencies",
        type=_describe_error(parse_latencies),
        default="none",
        metavar="none|real|NAME=SECONDS,...",
        help="real: services take 6.5 s to change, deleted and evicted jobs run on for 30 s",
    )
    add(
        "--mount-delay",
        type=float,
        default=0,
        metavar="SECONDS",
        help="start mounts so long after their jobs",
    )


def _describe_error(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Show the message of a ValueError, which argparse would hide."""

    def parse_option(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_option


def _check_loopback(text: str) -> str:
    if text != HOST:
        raise argparse.ArgumentTypeError(f"a sandbox listens on {HOST} only, not on {text}")
    return text


def _execute_up(arguments: argparse.Namespace) -> int:
    if arguments.detach:
        return _detach(arguments)
    if arguments.die_with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    images = [*arguments.image]
    if arguments.extras:
        folder = arguments.state.resolve()
        folder = folder.with_name(f"{folder.name}.examples")
        images += extras.fill_images(folder)
        extras.start_services(folder, arguments.state.resolve() / state.READY)
    options = Options(
        state=arguments.state,
        port=arguments.port,
        nodes=arguments.nodes,
        images=tuple(images),
        ready_file=arguments.ready_file,
        backend=arguments.storage,
        without_fuse=arguments.without_fuse,
        profile=PROFILES[arguments.profile],
        status_shape=arguments.status_shape,
        job_ttl_s=arguments.job_ttl,
        request_budget=arguments.request_budget,
        storage_restarts=arguments.storage_restarts,
        latencies=arguments.latencies,
        mount_delay_s=arguments.mount_delay,
        chaos=arguments.chaos,
        cors=arguments.cors,
    )
    asyncio.run(serve(options))
    return 0


def _detach(arguments: argparse.Namespace) -> int:
    """The same command without --detach, in a session of its own."""
    directory = arguments.state.resolve()
    if state.read_announcement(directory) is not None:
        raise StateError(f"a sandbox is already up in {directory}: end it with `down` first")
    directory.parent.mkdir(parents=True, exist_ok=True)
    argv = [word for word in sys.argv[1:] if word != "--detach"]
    with directory.with_name(f"{directory.name}.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", str(__package__), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACH_WAIT_S
    while process.poll() is None and time.monotonic() < deadline:
        found = state.read_announcement(directory)
        if found and found.get("pid") == process.pid:
            box = look.open_sandbox(arguments.state)
            print(look.describe_next(box, f"python -m {__package__}", arguments.state))
            return 0
        time.sleep(0.02)
    process.kill()
    raise StateError(f"the sandbox did not come up, see {output.name}")


def _execute_down(arguments: argparse.Namespace) -> int:
    stopped = state.stop(arguments.state.resolve())
    print("down" if stopped else f"no sandbox is up in {arguments.state}")
    return 0


def _execute_status(arguments: argparse.Namespace) -> int:
    found = state.read_announcement(arguments.state.resolve())
    if not found:
        print(f"no sandbox is up in {arguments.state}")
        return 1
    shown = {"oscar": found["oscar"]["url"], "s3": found["s3"]["url"], "pid": found["pid"]}
    print(json.dumps(shown))
    return os.EX_OK


def _execute_env(arguments: argparse.Namespace) -> int:
    box = look.open_sandbox(arguments.state)
    print(FORMATS[arguments.format](box), end="")
    return os.EX_OK


def _execute_services(arguments: argparse.Namespace) -> int:
    for line in look.list_services(look.open_sandbox(arguments.state)):
        print(line)
    return os.EX_OK


def _execute_logs(arguments: argparse.Namespace) -> int:
    box = look.open_sandbox(arguments.state)
    job, phase = look.find_job(box, arguments.service, arguments.job)
    print(f"job {job}: {phase}", file=sys.stderr)
    print(box.read_log(arguments.service, job), end="")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
