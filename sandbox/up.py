# SPDX-License-Identifier: Apache-2.0
"""Runs a sandbox: claims its directory, listens, starts S3, announces itself, waits, ends.

Everything that it starts ends with it, even if it is killed.
"""

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession

from .api import job_routes
from .api.accounts import Account
from .api.budget import Budget, Unlimited
from .api.chaos import Chaos, Cluster
from .api.faults import Faults
from .api.hook import make_hook
from .api.listener import Listener
from .api.routes import Api, Settings
from .cluster.latencies import Latencies
from .cluster.nodes import Nodes
from .cluster.profiles import Profile
from .cluster.resources import Node
from .jobs.pods import Image, PodOptions, Pods
from .jobs.queue import Jobs
from .process import reaper
from .services.definitions import Provider
from .services.registry import Rules, Services
from .state import READY, State, write_private
from .storage.backends import Backend, build_storage
from .storage.events import Notifier
from .storage.relay import make_relay
from .storage.servers import Manager, Storage

log = logging.getLogger(__name__)

NO_NAMESPACES = (
    "jobs need unprivileged user namespaces, and this system refuses them ({reason}): on Ubuntu "
    "set sysctl kernel.apparmor_restrict_unprivileged_userns=0; in Docker run the container with "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined; elsewhere set sysctl "
    "user.max_user_namespaces above 0"
)


class CannotRun(Exception):
    """This system cannot run jobs; the message says why and what to change."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `up`."""

    state: Path
    port: int
    nodes: tuple[Node, ...]
    images: tuple[Image, ...]
    ready_file: Path | None
    backend: Backend
    without_fuse: bool
    profile: Profile
    status_shape: str
    """Empty: the profile's."""
    job_ttl_s: float | None
    """None: the profile's."""
    request_budget: bool
    storage_restarts: bool
    latencies: Latencies
    mount_delay_s: float
    chaos: bool
    cors: bool = False
    """Whether pages of other origins may call OSCAR, as with the route of its Helm chart."""


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where the sandbox listens: the manager, the filer's reports, the relay of the storage."""

    manager: Listener
    hook: Listener
    relay: Listener

    async def close(self) -> None:
        for listener in (self.manager, self.hook, self.relay):
            await listener.close()


async def serve(options: Options) -> None:
    state = State(options.state)
    account = Account("oscar", secrets.token_urlsafe(18))
    async with ClientSession() as session:
        ports = _Ports(Listener(options.port), Listener(), Listener())
        manager = Manager(ports.manager.url, ports.hook.url, webhook_token=secrets.token_hex(16))
        storage, notifier = build_storage(
            options.backend, state.directory / "storage", manager, _make_poster(session, manager)
        )
        state.claim()
        stopping = _catch_signals()
        watching = reaper.start(state.directory)
        pods, jobs, api = _build(options, state, account, ports, (storage, notifier))
        try:
            await ports.hook.start(make_hook(notifier, manager))
            await ports.manager.start(api.make_application())
            if options.chaos:
                await ports.relay.start(make_relay(storage.url, storage.keys))
            await asyncio.gather(storage.start(), _probe(pods, options))
            _announce(options, state, ports.manager.url, account, storage)
            await stopping.wait()
        finally:
            await jobs.close()
            storage.stop()
            await ports.close()
            reaper.announce_end(watching)
            state.clean()


def _build(
    options: Options,
    state: State,
    account: Account,
    ports: _Ports,
    s3: tuple[Storage, Notifier],
) -> tuple[Pods, Jobs, Api]:
    storage, notifier = s3
    profile = options.profile
    provider = Provider(storage.url, storage.keys.access, storage.keys.secret)
    rules = Rules(profile, options.storage_restarts, options.latencies.service_s)
    services = Services(storage, notifier, provider, rules)
    pod_options = PodOptions(profile, options.images, options.mount_delay_s)
    pods = Pods(state.directory, provider, services.get, pod_options)
    ttl_s = profile.job_ttl_s if options.job_ttl_s is None else options.job_ttl_s
    jobs = Jobs(Nodes(options.nodes), pods, ttl_s, options.latencies)
    budget = Budget() if options.request_budget else Unlimited()
    pace = job_routes.Manager(budget, options.latencies)
    routes_of_jobs = job_routes.JobRoutes(profile, services, jobs, pods, pace)
    faults = Faults()
    chaos = None
    if options.chaos:
        cluster = Cluster(
            services, jobs, routes_of_jobs, storage, ports.manager, pods, ports.relay.url
        )
        chaos = Chaos(cluster, faults)
    shape = options.status_shape or profile.status_shape
    settings = Settings(account, provider, profile, shape, options.cors)
    parts = (services, jobs, routes_of_jobs, storage, ports.manager, budget, faults, chaos)
    return pods, jobs, Api(settings, *parts)


def _catch_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _make_poster(
    session: ClientSession, manager: Manager
) -> Callable[[str, str, str], Awaitable[int]]:
    async def post(service: str, token: str, body: str) -> int:
        """Post as MinIO's webhook does: with the token that was registered, and only once."""
        url, headers = manager.make_job_url(service), {"Authorization": f"Bearer {token}"}
        try:
            async with session.post(url, data=body, headers=headers) as answer:
                return answer.status
        except (ClientError, TimeoutError, OSError):
            return 599

    return post


async def _probe(pods: Pods, options: Options) -> None:
    try:
        without_fuse = await asyncio.to_thread(pods.probe, without_fuse=options.without_fuse)
    except OSError as error:
        raise CannotRun(NO_NAMESPACES.format(reason=error)) from error
    if without_fuse:
        log.warning("mounts are simulated by copying, FUSE does not work here: %s", without_fuse)


def _announce(options: Options, state: State, url: str, account: Account, storage: Storage) -> None:
    document = {
        "oscar": {"url": url, "username": account.username, "password": account.password},
        "s3": {
            "url": storage.url,
            "access_key": storage.keys.access,
            "secret_key": storage.keys.secret,
        },
        "pid": os.getpid(),
    }
    write_private(state.directory / READY, document)
    if options.ready_file is not None:
        write_private(options.ready_file, document)
    log.info("OSCAR answers at %s, S3 at %s", url, storage.url)
