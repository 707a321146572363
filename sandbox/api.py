# SPDX-License-Identifier: Apache-2.0
"""Turns HTTP requests into services, jobs and their state: the routes of OSCAR's manager, v4.1.

Routes only; what they do is in services and jobs, how they answer is OSCAR's way: text errors,
empty successes, 500 with an empty body for a panic. Called by up.
"""

import hmac
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox import auth, definition, listing, status
from sandbox.auth import Account, Refusal
from sandbox.cluster import Node
from sandbox.definition import Provider, Rejected
from sandbox.events import Notifier
from sandbox.jobs import AlreadyExists, Job, Jobs, Phase
from sandbox.pod import Pods
from sandbox.redirect import trailing_slash
from sandbox.services import Service, Services
from sandbox.storage import Storage, StorageError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_LIMIT = 256 * 1024**2
# etcd refuses larger objects, and the event is part of the Job.
JOB_LIMIT = 1536 * 1024
STATUS_FAILURE = "500"
_JOB_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
VERSION = "4.1.2"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is fixed for the life of a sandbox."""

    account: Account
    provider: Provider
    nodes: tuple[Node, ...]
    status_shape: str
    webhook_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Api:
    """OSCAR's manager over the parts of a sandbox."""

    settings: Settings
    services: Services
    jobs: Jobs
    pods: Pods
    storage: Storage
    notifier: Notifier

    def application(self) -> web.Application:
        middlewares = [trailing_slash, self._guard]
        app = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT)
        one, logs = "/system/services/{service}", "/system/logs/{service}"
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/system/services", self.list_services),
                web.post("/system/services", self.create_service),
                web.put("/system/services", self.update_service),
                web.get(one, self.read_service),
                web.delete(one, self.delete_service),
                web.get(f"{one}/auth", self.forward_auth),
                web.post("/job/{service}", self.submit),
                web.get(logs, self.list_jobs),
                web.delete(logs, self.delete_jobs),
                web.get(logs + "/{job}", self.read_log),
                web.delete(logs + "/{job}", self.delete_job),
                web.get("/system/logs", self.manager_log),
                web.get("/system/status", self.status),
                web.get("/system/config", self.config),
                web.get("/system/info", self.info),
                web.get("/system/quotas/user", self.own_quota),
                web.post("/_sandbox/webhook", self.webhook),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Basic auth for /system, and OSCAR's way to fail."""
        own_rule = request.path.endswith("/auth")
        if request.path.startswith("/system/") and not own_rule:
            refusal = auth.system(request.headers.get("Authorization"), self.settings.account)
            if refusal:
                return _refuse(refusal)
        try:
            return await handler(request)
        except Rejected as error:
            return web.Response(status=error.status, text=error.text)
        except StorageError as error:
            return web.Response(status=500, text=str(error))
        except web.HTTPNotFound:
            return web.Response(status=404, text="404 page not found")
        except web.HTTPException:
            raise
        except Exception:
            log.exception("%s %s panicked", request.method, request.path)
            return web.Response(status=500)

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok")

    async def list_services(self, _: web.Request) -> web.Response:
        return _json([definition.answer(service.definition) for service in self.services.all()])

    async def read_service(self, request: web.Request) -> web.Response:
        return _json(definition.answer(self._service(request).definition))

    async def create_service(self, request: web.Request) -> web.Response:
        await self.services.create(await _body(request))
        return web.Response(status=201)

    async def update_service(self, request: web.Request) -> web.Response:
        await self.services.update(await _body(request))
        return web.Response(status=204)

    async def delete_service(self, request: web.Request) -> web.Response:
        name = request.match_info["service"]
        await self.services.delete(name)
        await self.jobs.delete(self.jobs.of(name))
        return web.Response(status=204)

    async def forward_auth(self, request: web.Request) -> web.Response:
        header = request.headers.get("Authorization")
        token = self.services.token(request.match_info["service"])
        if "token" in request.query:
            header = f"Bearer {request.query['token']}"
        if auth.system(header, self.settings.account) is None:
            return web.Response()
        refusal = auth.job(header, token)
        return _refuse(refusal) if refusal else web.Response()

    async def submit(self, request: web.Request) -> web.Response:
        service = self.services.get(request.match_info["service"])
        refusal = auth.job(request.headers.get("Authorization"), service.token if service else None)
        if refusal or service is None:
            return _refuse(refusal or Refusal(401))
        body = await request.read()
        name = request.headers.get("X-Delegated-Job-ID") or _job_name(service.name)
        if not _JOB_NAME.fullmatch(name):
            raise Rejected(500, f'Job.batch "{name}" is invalid: metadata.name: Invalid value')
        if len(body) > JOB_LIMIT:
            raise Rejected(500, "etcdserver: request is too large")
        try:
            self.jobs.submit(Job(name, service.name, service.needs, body))
        except AlreadyExists:
            raise Rejected(500, f'jobs.batch "{name}" already exists') from None
        return web.Response(status=201)

    async def list_jobs(self, request: web.Request) -> web.Response:
        jobs = self.jobs.of(self._service(request).name)
        try:
            return _json(listing.page(jobs, request.query.get("page", "")))
        except listing.BadToken as error:
            raise Rejected(500, str(error)) from error

    async def delete_jobs(self, request: web.Request) -> web.Response:
        jobs = self.jobs.of(self._service(request).name)
        if request.query.get("all") != "true":
            jobs = [job for job in jobs if job.phase is Phase.SUCCEEDED]
        await self.jobs.delete(jobs)
        return web.Response(status=204)

    async def read_log(self, request: web.Request) -> web.StreamResponse:
        job = self.jobs.get(self._service(request).name, request.match_info["job"])
        if job is None:
            raise Rejected(500)  # OSCAR's own nil dereference
        path = self.pods.log(job)
        if job.started_at is None or not path.exists():
            raise Rejected(404)
        if request.query.get("timestamps") == "true":
            moment = f"{job.started_at:%Y-%m-%dT%H:%M:%S.%f}000Z "
            lines = path.read_bytes().splitlines(keepends=True)
            body = b"".join(moment.encode() + line for line in lines)
            return web.Response(body=body, content_type="text/plain")
        return web.FileResponse(path, headers={"Content-Type": "text/plain; charset=utf-8"})

    async def delete_job(self, request: web.Request) -> web.Response:
        service = self.services.get(request.match_info["service"])
        if service is None:
            raise Rejected(403)
        job = self.jobs.get(service.name, request.match_info["job"])
        if job is None:
            raise Rejected(404)
        await self.jobs.delete([job])
        return web.Response(status=204)

    async def manager_log(self, _: web.Request) -> web.Response:
        return web.Response(text="")

    async def status(self, _: web.Request) -> web.Response:
        shape = self.settings.status_shape
        if shape == STATUS_FAILURE:
            reason = "the server could not find the requested resource (get nodes.metrics.k8s.io)"
            return _json({"error": f"Error getting metrics info: {reason}"}, status=500)
        snapshot = status.Snapshot(
            self.settings.nodes,
            self.jobs.used(),
            self.jobs.requested(),
            self.jobs.phases(),
            await self.storage.count(),
        )
        return _json(status.render(snapshot, shape))

    async def config(self, _: web.Request) -> web.Response:
        config = {
            "name": "oscar",
            "namespace": "oscar",
            "services_namespace": definition.NAMESPACE,
            "controller_service_account": "oscar-sa",
            "gpu_available": any(node.capacity.gpus for node in self.settings.nodes),
            "interLink_available": False,
            "yunikorn_enable": False,
            "kueue_enable": False,
            "volume_enable": True,
            "oidc_groups": [""],
            "minio_quota_enabled": False,
        }
        provider = self.settings.provider.entry(hidden=False)
        answer = {"config": config, "minio_provider": provider, "allowed_image_repositories": []}
        return _json(answer)

    async def info(self, _: web.Request) -> web.Response:
        return _json(
            {
                "version": VERSION,
                "git_commit": "sandbox",
                "architecture": "amd64",
                "kubernetes_version": "v1.31.0",
            }
        )

    async def own_quota(self, _: web.Request) -> web.Response:
        return web.Response(status=401, text="missing user identificator")

    async def webhook(self, request: web.Request) -> web.Response:
        expected = f"Bearer {self.settings.webhook_token}"
        if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
            return web.Response(status=401)
        self.notifier.receive(await request.json())
        return web.Response()

    def _service(self, request: web.Request) -> Service:
        service = self.services.get(request.match_info["service"])
        if service is None:
            raise Rejected(404)
        return service


def _job_name(service: str) -> str:
    return f"{service if len(service) < 25 else service[:16]}-{uuid.uuid4()}"


def _refuse(refusal: Refusal) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="Authorization Required"'}
    return web.Response(
        status=refusal.status,
        text=refusal.text,
        headers=headers if refusal.challenge else None,
    )


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise Rejected(400, f"The service specification is not valid: {error}") from error


def _json(document: Any, status: int = 200) -> web.Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=status, text=text, content_type="application/json")
