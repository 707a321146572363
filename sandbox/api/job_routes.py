# SPDX-License-Identifier: Apache-2.0
"""The routes of jobs, their lists and their logs: /job and /system/logs of the manager.

`routes` adds them to its application, which checks accounts, budget and faults first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ..cluster.job_record import Job, Phase, read_clock
from ..cluster.latencies import Latencies
from ..cluster.profiles import Profile
from ..jobs.pods import Pods
from ..jobs.queue import AlreadyExists, Jobs
from ..services.definitions import Rejected
from ..services.job_requests import Request, make_job
from ..services.registry import Service, Services
from . import accounts, job_pages
from .accounts import Refusal
from .budget import Budget, Cost

BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Manager:
    """How fast the manager and its cluster are."""

    budget: Budget
    latencies: Latencies


class JobRoutes:
    """The handlers of the routes of jobs."""

    def __init__(
        self, profile: Profile, services: Services, jobs: Jobs, pods: Pods, manager: Manager
    ) -> None:
        self._profile = profile
        self._services = services
        self._jobs = jobs
        self._pods = pods
        self._budget = manager.budget
        self._pod_s = manager.latencies.pod_s
        self.generation = 0
        """Tokens of pages of an earlier generation have expired."""

    def list_routes(self) -> list[web.RouteDef]:
        logs = "/system/logs/{service}"
        return [
            web.post("/job/{service}", self.submit),
            web.get(logs, self.list_jobs),
            web.delete(logs, self.delete_jobs),
            web.get(logs + "/{job}", self.read_log),
            web.delete(logs + "/{job}", self.delete_job),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        service = self._services.get(request.match_info["service"])
        if service is None and self._profile.known_before_auth:
            raise Rejected(404)
        refusal = accounts.check_job_access(
            request.headers.get("Authorization"), service.token if service else None
        )
        if refusal or service is None:
            return accounts.make_refusal(refusal or Refusal(401))
        body = await request.read()
        wanted = request.headers.get("X-Delegated-Job-ID", "")
        job = make_job(service, Request(body, wanted), self._profile)
        try:
            self._jobs.submit(job, body)
        except AlreadyExists:
            raise Rejected(500, f'jobs.batch "{job.name}" already exists') from None
        return web.Response(status=201)

    async def list_jobs(self, request: web.Request) -> web.Response:
        service = self._services.get(request.match_info["service"])
        if service is None and self._profile.strict_logs:
            raise Rejected(404)
        jobs = self._jobs.list_of_service(request.match_info["service"])
        try:
            token = request.query.get("page", "")
            page = job_pages.parse_token(token, self.generation, read_clock())
        except job_pages.BadToken as error:
            raise Rejected(500, str(error)) from error
        shown, _ = page.choose(jobs)
        await self._budget.spend(Cost(self._profile.pod_calls_per_job * len(shown)))
        return web.json_response(job_pages.render(jobs, page, self._profile, self._pod_s))

    async def delete_jobs(self, request: web.Request) -> web.Response:
        jobs = self._jobs.list_of_service(self._find_service(request).name)
        if request.query.get("all") != "true":
            jobs = [job for job in jobs if job.phase is Phase.SUCCEEDED]
        await self._jobs.delete(jobs)
        return web.Response(status=204)

    async def read_log(self, request: web.Request) -> web.StreamResponse:
        service, name = request.match_info["service"], request.match_info["job"]
        if self._services.get(service) is None and self._profile.strict_logs:
            raise Rejected(404)
        job = self._jobs.get(service, name)
        if job is None or job.phase.podless:
            raise Rejected(500)  # OSCAR dereferences nil here
        path = self._pods.find_log(job)
        if job.started_at is None or not path.exists():
            raise Rejected(404)
        if request.query.get("timestamps") == "true":
            return await _add_timestamps(request, job, path)
        return web.FileResponse(path, headers={"Content-Type": "text/plain; charset=utf-8"})

    async def delete_job(self, request: web.Request) -> web.Response:
        service = self._services.get(request.match_info["service"])
        if service is None and self._profile.delete_forbidden:
            raise Rejected(403, "You do not have permission to access this service")
        job = self._jobs.get(request.match_info["service"], request.match_info["job"])
        if job is None:
            raise Rejected(404)
        await self._jobs.delete([job])
        return web.Response(status=204)

    def _find_service(self, request: web.Request) -> Service:
        service = self._services.get(request.match_info["service"])
        if service is None:
            raise Rejected(404)
        return service


async def _add_timestamps(request: web.Request, job: Job, path: Path) -> web.StreamResponse:
    """Put the time of the job's start before every line: the times of lines are not kept."""
    answer = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    await answer.prepare(request)
    for block in _add_prefix(path, f"{job.started_at:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode()):
        await answer.write(block)
    await answer.write_eof()
    return answer


def _add_prefix(path: Path, prefix: bytes) -> Iterator[bytes]:
    """Work in blocks: a log, and even one of its lines, may be larger than the memory."""
    starts = True
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            ends = block.endswith(b"\n")
            body = block.removesuffix(b"\n").replace(b"\n", b"\n" + prefix)
            yield (prefix if starts else b"") + body + (b"\n" if ends else b"")
            starts = ends
