# SPDX-License-Identifier: Apache-2.0
"""The routes below /_sandbox/: they make failures of real clusters happen.

They exist only with `--chaos`. Every answer is JSON; a refusal is 400 or 404 with the reason.
"""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ..cluster.job_record import Job
from ..cluster.resources import Node, parse_speed
from ..jobs.pods import Pods
from ..jobs.queue import Jobs
from ..services.definitions import Rejected
from ..services.registry import Service, Services
from ..storage.servers import Storage
from . import faults
from .faults import Faults
from .job_routes import JobRoutes
from .listener import Listener

# Kubernetes marks a dead node after 40 s and removes its pods 300 s later.
UNNOTICED_S = 340.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """The parts of the sandbox that chaos changes."""

    services: Services
    jobs: Jobs
    job_routes: JobRoutes
    storage: Storage
    listener: Listener
    pods: Pods
    relay_url: str
    """Of an S3 endpoint that ignores conditions."""


class Chaos:
    """The sandbox's own routes."""

    def __init__(self, cluster: Cluster, faults: Faults) -> None:
        self._services = cluster.services
        self._jobs = cluster.jobs
        self._job_routes = cluster.job_routes
        self._storage = cluster.storage
        self._listener = cluster.listener
        self._pods = cluster.pods
        self._relay_url = cluster.relay_url
        self._faults = faults

    def list_routes(self, root: str) -> list[web.RouteDef]:
        node, service = f"{root}/nodes/{{node}}", f"{root}/services/{{service}}"
        return [
            web.get(f"{root}/nodes", self.list_nodes),
            web.post(f"{root}/nodes", self.add_nodes),
            web.delete(node, self.remove_node),
            web.post(f"{node}/{{verb:cordon|uncordon|drain|kill|slow}}", self.change_node),
            web.get(f"{root}/faults", self.list_faults),
            web.post(f"{root}/faults", self.add_fault),
            web.delete(f"{root}/faults", self.clear_faults),
            web.post(
                f"{service}/{{verb:rotate|suspend|release|vanish|evict}}", self.change_service
            ),
            web.post(f"{root}/pages/expire", self.expire_pages),
            web.post(f"{root}/clock", self.advance),
            web.post(f"{root}/manager/kill", self.kill_manager),
            web.post(f"{root}/storage/gap", self.stop_storage),
            web.post(f"{root}/storage/conditions", self.set_conditions),
        ]

    async def list_nodes(self, _: web.Request) -> web.Response:
        return web.json_response([self._describe_node(node) for node in self._jobs.nodes])

    async def add_nodes(self, request: web.Request) -> web.Response:
        try:
            added = self._jobs.nodes.add(str((await _read_body(request)).get("nodes", "")))
        except ValueError as error:
            raise Rejected(400, str(error)) from error
        self._jobs.bind()
        return web.json_response([self._describe_node(node) for node in added], status=201)

    async def remove_node(self, request: web.Request) -> web.Response:
        """Remove a node with its pods and processes, as when a cluster is made smaller."""
        node = self._find_node(request)
        self._jobs.nodes.remove(node.name)
        return web.json_response({"jobs": self._jobs.lose_node(node.name)})

    async def change_node(self, request: web.Request) -> web.Response:
        node, verb, body = (
            self._find_node(request),
            request.match_info["verb"],
            await _read_body(request),
        )
        jobs = 0
        if verb == "slow":
            try:
                self._jobs.slow(node.name, parse_speed(body.get("speed")))
            except ValueError as error:
                raise Rejected(400, str(error)) from error
        elif verb == "kill":
            measured = bool(body.get("measured", True))
            self._jobs.nodes.change(node.name, lost=True, measured=measured)
            jobs = self._jobs.lose_node(node.name, _parse_seconds(body, "unnoticed_s", UNNOTICED_S))
        else:
            self._jobs.nodes.change(node.name, cordoned=verb != "uncordon")
            jobs = self._jobs.drain(node.name) if verb == "drain" else 0
        self._jobs.bind()
        found = self._jobs.nodes.get(node.name) or node
        return web.json_response({**self._describe_node(found), "ended": jobs})

    async def list_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._faults.list_left())

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            self._faults.add(faults.parse_fault(await _read_body(request)))
        except (TypeError, ValueError) as error:
            raise Rejected(400, str(error)) from error
        return web.json_response(self._faults.list_left(), status=201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response([])

    async def change_service(self, request: web.Request) -> web.Response:
        service, body = self._find_service(request), await _read_body(request)
        match request.match_info["verb"]:
            case "rotate":
                await self._services.rotate(service, webhook=bool(body.get("webhook", False)))
            case "suspend":
                self._jobs.suspend(service.name)
            case "release":
                self._jobs.release(service.name)
            case "vanish":
                await self._jobs.delete(self._choose_jobs(service, body))
            case "evict":
                self._jobs.evict(self._choose_jobs(service, body))
        return web.json_response({})

    async def expire_pages(self, _: web.Request) -> web.Response:
        self._job_routes.generation += 1
        return web.json_response({})

    async def advance(self, request: web.Request) -> web.Response:
        self._jobs.advance(_parse_seconds(await _read_body(request), "seconds", 0.0))
        return web.json_response({})

    async def kill_manager(self, request: web.Request) -> web.StreamResponse:
        """Kill the manager and start it again after ``seconds``; jobs and storage go on."""
        seconds = _parse_seconds(await _read_body(request), "seconds", 1.0)
        answer = web.json_response({})
        answer.force_close()
        await answer.prepare(request)
        await answer.write_eof()
        await self._listener.kill(seconds)
        return answer

    async def stop_storage(self, request: web.Request) -> web.Response:
        """Stop the storage for ``seconds``, and answer when it runs again."""
        seconds = _parse_seconds(await _read_body(request), "seconds", 1.0)
        await self._storage.restart(seconds)
        return web.json_response({})

    async def set_conditions(self, request: web.Request) -> web.Response:
        """Whether the storage that new jobs see ignores `If-None-Match`; answers its URL."""
        ignored = bool((await _read_body(request)).get("ignored", True))
        self._pods.endpoint = self._relay_url if ignored else self._storage.url
        return web.json_response({"url": self._pods.endpoint})

    def _choose_jobs(self, service: Service, body: dict[str, Any]) -> list[Job]:
        """The jobs of the service that a request names; all if it names none."""
        jobs = self._jobs.list_of_service(service.name)
        return [job for job in jobs if "jobs" not in body or job.name in body["jobs"]]

    def _describe_node(self, node: Node) -> dict[str, Any]:
        return {
            "name": node.name,
            "speed": node.speed,
            "cordoned": node.cordoned,
            "lost": node.lost,
            "jobs": self._jobs.list_on_node(node.name),
        }

    def _find_node(self, request: web.Request) -> Node:
        if (node := self._jobs.nodes.get(request.match_info["node"])) is None:
            raise Rejected(404, f"there is no node {request.match_info['node']}")
        return node

    def _find_service(self, request: web.Request) -> Service:
        if (service := self._services.get(request.match_info["service"])) is None:
            raise Rejected(404, f"there is no service {request.match_info['service']}")
        return service


async def _read_body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise Rejected(400, f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Rejected(400, "not a JSON object")
    return body


def _parse_seconds(body: dict[str, Any], key: str, default: float) -> float:
    value = body.get(key, default)
    if not isinstance(value, int | float) or value < 0:
        raise Rejected(400, f"{key} is a number of seconds, not {value!r}")
    return float(value)
