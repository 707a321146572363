# SPDX-License-Identifier: Apache-2.0
"""The routes of OSCAR's manager for services and for the state of the cluster.

The work is done in `services` and `jobs`. Errors are plain text, most successes have no body, and
where OSCAR panics the answer is 500 without a body. Routes of jobs are in `job_routes`, the
sandbox's own in `chaos`.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ..cluster.profiles import Profile
from ..jobs.queue import Jobs
from ..services import definitions
from ..services.definitions import Panic, Provider, Rejected
from ..services.kubernetes_names import find_label_problem
from ..services.overview import Overview, render_overview
from ..services.registry import Service, Services
from ..storage.servers import Storage, StorageError
from . import accounts, front, status_shapes
from .accounts import Account
from .budget import Budget, find_cost
from .chaos import Chaos
from .faults import Faults
from .job_pages import Expired
from .job_routes import JobRoutes
from .listener import Listener

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_LIMIT = 256 * 1024**2
STATUS_FAILURE = "500"
OWN = "/_sandbox/"


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while a sandbox runs."""

    account: Account
    provider: Provider
    profile: Profile
    status_shape: str
    cors: bool = False


@dataclass(frozen=True, slots=True)
class Api:
    """OSCAR's manager, with the parts of the sandbox that it uses."""

    settings: Settings
    services: Services
    jobs: Jobs
    job_routes: JobRoutes
    storage: Storage
    listener: Listener
    budget: Budget
    faults: Faults
    chaos: Chaos | None

    def make_application(self) -> web.Application:
        before = [front.answer_options] if self.settings.cors else []
        manager = [front.redirect_trailing_slash, self._apply_fault, self._authorize]
        middlewares = [*before, self.listener.track, *manager]
        app = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT)
        app.on_response_prepare.append(_drop_headers)
        if self.settings.cors:
            app.on_response_prepare.append(front.add_headers)
        one = "/system/services/{service}"
        routes = [
            web.get("/", self.show_overview),
            web.get("/health", self.answer_health),
            web.get("/system/services", self.list_services),
            web.post("/system/services", self.create_service),
            web.put("/system/services", self.update_service),
            web.get(one, self.read_service),
            web.delete(one, self.delete_service),
            web.get(f"{one}/auth", self.forward_auth),
            web.get("/system/logs", self.read_manager_log),
            web.get("/system/status", self.read_status),
            web.get("/system/config", self.read_config),
            web.get("/system/info", self.read_info),
            web.get("/system/quotas/user", self.read_own_quota),
        ]
        absent = self.settings.profile.absent_routes
        app.add_routes([route for route in routes if route.path not in absent])
        app.add_routes(self.job_routes.list_routes())
        if self.chaos is not None:
            app.add_routes(self.chaos.list_routes(OWN.rstrip("/")))
        return app

    @web.middleware
    async def _apply_fault(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Apply the fault that is set for the request, if any."""
        if request.match_info.http_exception is None:
            await request.read()  # complete even if the caller gives up during the delay
        own = request.path.startswith(OWN)
        fault = None if own else self.faults.take(request.method, request.path)
        if fault is None:
            return await handler(request)
        await asyncio.sleep(fault.delay_s)
        if fault.cut == "before":
            return _cut_connection(request)
        if fault.status and not fault.doubled:
            return web.Response(status=fault.status, text=fault.body)
        answer = await handler(request)
        await asyncio.sleep(fault.answer_delay_s)
        if fault.cut == "after":
            return _cut_connection(request)
        if fault.doubled and isinstance(answer, web.Response):
            text = fault.body + (answer.text or "")
            return web.Response(status=fault.status or answer.status, text=text)
        return answer

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check basic auth for /system, spend the budget, turn exceptions into OSCAR's answers."""
        if request.match_info.http_exception is not None:
            headers = {"Content-Type": "text/plain"}
            return web.Response(status=404, body=b"404 page not found", headers=headers)
        route = request.match_info.route.resource
        canonical = route.canonical if route else ""
        open_to_all = not request.path.startswith(("/system/", OWN))
        if not (open_to_all or canonical.endswith("/auth")):
            refusal = accounts.check_system_access(
                request.headers.get("Authorization"), self.settings.account
            )
            if refusal:
                return accounts.make_refusal(refusal)
        route_name = f"{request.method} {canonical}"
        await self.budget.spend(find_cost(route_name, self.settings.profile.post_calls))
        try:
            return await handler(request)
        except Rejected as error:
            return web.Response(status=error.status, text=error.text or None)
        except StorageError as error:
            return web.Response(status=500, text=str(error))
        except (Panic, Expired):
            return web.Response(status=500)
        except web.HTTPException:
            raise
        except Exception:
            log.exception("%s %s panicked", request.method, request.path)
            return web.Response(status=500)

    async def answer_health(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok")

    async def show_overview(self, _: web.Request) -> web.Response:
        services = self.services.list_all()
        shown = Overview(
            self.settings.profile.version,
            self.jobs.nodes,
            self.jobs.sum_requested(),
            services,
            [job for each in services for job in self.jobs.list_of_service(each.name)],
            await self.storage.count(),
        )
        page = render_overview(shown, f"python -m {__package__.partition('.')[0]}")
        return web.Response(text=page, content_type="text/html")

    async def list_services(self, _: web.Request) -> web.Response:
        return _answer_json(
            [definitions.make_answer(service.definition) for service in self.services.list_all()]
        )

    async def read_service(self, request: web.Request) -> web.Response:
        return _answer_json(definitions.make_answer(self._find_service(request).definition))

    async def create_service(self, request: web.Request) -> web.Response:
        await self.services.create(await _read_body(request))
        return web.Response(status=201)

    async def update_service(self, request: web.Request) -> web.Response:
        await self.services.update(await _read_body(request))
        return web.Response(status=204)

    async def delete_service(self, request: web.Request) -> web.Response:
        name = request.match_info["service"]
        try:
            await self.services.delete(name)
        finally:
            if self.services.get(name) is None:
                await self.jobs.delete(self.jobs.list_of_service(name))
        return web.Response(status=204)

    async def forward_auth(self, request: web.Request) -> web.Response:
        header = request.headers.get("Authorization")
        service = self.services.get(request.match_info["service"])
        token = service.token if service else None
        if "token" in request.query:
            header = f"Bearer {request.query['token']}"
        if accounts.check_system_access(header, self.settings.account) is None:
            return web.Response()
        refusal = accounts.check_job_access(header, token)
        return accounts.make_refusal(refusal) if refusal else web.Response()

    async def read_manager_log(self, _: web.Request) -> web.Response:
        return web.Response(text="")

    async def read_status(self, request: web.Request) -> web.StreamResponse:
        shape = self.settings.status_shape
        if shape == STATUS_FAILURE:
            if self.settings.profile.status_kills:
                return _cut_connection(request)
            reason = "the server could not find the requested resource (get nodes.metrics.k8s.io)"
            return _answer_json({"error": f"Error getting metrics info: {reason}"}, status=500)
        snapshot = status_shapes.Snapshot(
            tuple(self.jobs.nodes),
            self.jobs.sum_used(),
            self.jobs.sum_requested(),
            self.jobs.count_phases(),
            await self.storage.count(),
        )
        return _answer_json(status_shapes.render(snapshot, shape))

    async def read_config(self, _: web.Request) -> web.Response:
        read_config = {
            "name": "oscar",
            "namespace": "oscar",
            "services_namespace": definitions.NAMESPACE,
            "controller_service_account": "oscar-sa",
            "gpu_available": any(node.capacity.gpus for node in self.jobs.nodes),
            "interLink_available": False,
            "yunikorn_enable": False,
            "kueue_enable": False,
            "volume_enable": True,
            "oidc_groups": [""],
            "minio_quota_enabled": False,
        }
        provider = self.settings.provider.make_entry()
        answer = {"minio_provider": provider, "allowed_image_repositories": []}
        absent = self.settings.profile.absent_config
        known = {key: value for key, value in read_config.items() if key not in absent}
        rest = {key: value for key, value in answer.items() if key not in absent}
        return _answer_json({"config": known, **rest})

    async def read_info(self, _: web.Request) -> web.Response:
        return _answer_json(
            {
                "version": self.settings.profile.version,
                "git_commit": "sandbox",
                "architecture": "amd64",
                "kubernetes_version": "v1.34.4",
            }
        )

    async def read_own_quota(self, _: web.Request) -> web.Response:
        return web.Response(status=401, text="missing user identificator")

    def _find_service(self, request: web.Request) -> Service:
        name = request.match_info["service"]
        if self.settings.profile.checks_names and find_label_problem("", name):
            raise Rejected(400, "invalid serviceName")
        if (service := self.services.get(name)) is None:
            raise Rejected(404)
        return service


def _cut_connection(request: web.Request) -> web.Response:
    """Close the connection; the returned answer is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _drop_headers(_: web.Request, answer: web.StreamResponse) -> None:
    """Headers that aiohttp adds and OSCAR does not send."""
    answer.headers.pop("Server", None)
    if answer.headers.get("Content-Type") == "application/octet-stream":
        del answer.headers["Content-Type"]


async def _read_body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except json.JSONDecodeError as error:
        reason = "unexpected EOF"
        if error.pos < len(error.doc):
            reason = f"invalid character {error.doc[error.pos]!r} looking for beginning of value"
        raise Rejected(400, definitions.REFUSED + reason) from error
    except ValueError as error:
        raise Rejected(400, definitions.REFUSED + str(error)) from error


def _answer_json(document: Any, status: int = 200) -> web.Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=status, text=text, content_type="application/json")
