# SPDX-License-Identifier: Apache-2.0
"""`OscarClient` calls the REST API of OSCAR's manager and returns model values.

Every answer is checked against what OSCAR really sends: a submission succeeds with 201 and an empty
body, a refusal may be a 200 with an empty body, and the body of an error is plain text, sometimes
two texts in a row.
"""

from __future__ import annotations

import json
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from ..model.access import ClusterAccess, StorageAccess
from ..model.cluster import Cluster, JobList, Quota
from ..model.errors import ClusterError, NoStatus, NoToken, clean_foreign, hide_in_value
from ..model.run import Reply, Verdict
from ..model.service import Service, Trigger
from ..storage.connections import Connections
from ..storage.retry import SLEEP, Sleep, retry
from . import definition, job_list, release, status
from .answers import (
    Answer,
    Refused,
    check_status,
    decode_json,
    explain_unanswered,
    judge_reply,
    was_never_sent,
)
from .session import Session
from .tokens import AccessTokens

log = logging.getLogger(__name__)

# The owner that OSCAR writes into a service that was created with basic credentials.
_ADMINISTRATOR = "cluster_admin"
_MOST_BYTES = 16 * 1024**2  # of an answer; lists of services with their scripts are the longest
_CREATION_S = 60.0
# The waits before a request without an answer is repeated.
_DELAYS_S = (1.0, 2.0, 4.0, 8.0)


class _Temporary(Exception):
    """An answer that may be another one in a moment."""


class OscarClient:
    """One OSCAR cluster, seen with one account."""

    def __init__(
        self,
        access: ClusterAccess,
        *,
        secrets: Iterable[str] = (),
        sleep: Sleep = SLEEP,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Opens no connection. No message and no name of a node shows one of the secrets."""
        self._access, self._sleep = access, sleep
        self.version = ""
        """The release that `read_release` read last, as text."""
        pair = f"{access.username}:{access.password}"
        self._authorization = (
            f"Basic {b64encode(pair.encode()).decode()}"
            if access.password
            else f"Bearer {access.token}"
        )
        self._tokens = AccessTokens.for_cluster(access, now_s)
        self._secrets = (*access.secrets, *secrets)
        connections = Connections(
            verify=access.verify,
            ca_file=access.ca_file,
            allow=self._allow_answer,
            timeout=urllib3.Timeout(connect=access.timeout_s),
            most=4,  # as many requests as a submission sends at the same time, and one to spare
        )
        self._session = Session(connections, connect_s=access.timeout_s)

    def read_service(self, name: str) -> Service:
        """The target service. Raises ClusterError if it is missing, hidden or unusable."""
        attempt = f"read service {name} on {self._access.url}"
        raw = self._get(f"/system/services/{quote(name, safe='')}", attempt)
        if not isinstance(raw, dict) or not raw.get("token"):
            raise ClusterError(f"could not {attempt}: the answer is not a service definition")
        service = replace(definition.parse_service(raw), name=name)
        if service.token not in self._secrets:
            self._secrets += (service.token,)
        return service

    def list_services(self) -> tuple[Service, ...]:
        """The services that this account sees, without unusable ones. Raises ClusterError."""
        return definition.parse_services(self._list_definitions())

    def read_triggers(self) -> tuple[Trigger, ...]:
        """The input folders of all services that this account sees. Raises ClusterError."""
        return definition.parse_triggers(self._list_definitions())

    def _list_definitions(self) -> list[Any]:
        attempt = f"list the services on {self._access.url}"
        raw = self._get("/system/services", attempt)
        if not isinstance(raw, list | None):
            raise ClusterError(f"could not {attempt}: the answer is not a list of services")
        return raw or []

    def read_quota(self, owner: str) -> Quota | None:
        """What the queue of a service's owner still admits; None if no quota is known.

        Queues exist where Kueue is on, and never for services of the cluster's administrator.
        Whoever has a token sees his own quota only, an administrator everybody's.
        """
        if owner == _ADMINISTRATOR:
            return None
        own = "/system/quotas/user"
        others = f"{own}/{quote(owner, safe='', errors='replace')}"
        for path in (others, own) if owner and self._access.password else (own,):
            try:
                raw = self._get(path, f"read the quota on {self._access.url}")
                found = definition.parse_quota(raw if isinstance(raw, dict) else {})
            except NoToken:
                raise
            except ClusterError as error:
                # 401, 404, 500, 503: no Kueue, no queue, or a release that knows no quotas.
                log.info("no quota is known: %s", error)
                continue
            # Another's queue says nothing of this service's jobs.
            return found if not owner or found.user in {"", owner} else None
        return None

    def read_cluster(self) -> Cluster:
        """The cluster's nodes now. Raises NoStatus if OSCAR does not report them."""
        attempt = f"read the cluster status on {self._access.url}"
        try:
            answer = check_status(self._send("GET", "/system/status", attempt), attempt)
            return hide_in_value(status.parse_status(decode_json(answer, attempt)), answer.secrets)
        except (NoStatus, NoToken):
            raise
        except ClusterError as error:
            # Where rights or metrics are missing, some releases answer 500 or with nothing, and
            # others end the manager, which breaks the connection.
            if isinstance(error, Refused) and error.code in {401, 403}:
                raise
            raise NoStatus(str(error)) from error

    def read_storage(self) -> StorageAccess:
        """The cluster's own MinIO, as OSCAR tells it to its users. Raises ClusterError."""
        attempt = f"read the storage of {self._access.url}"
        raw = self._get("/system/config", attempt)
        return definition.parse_storage(raw if isinstance(raw, dict) else {})

    def names_jobs(self) -> bool:
        """Whether jobs get the names that invocations ask for; False if the release is unknown."""
        return release.names_jobs(self.read_release())

    def read_release(self) -> release.Release | None:
        """Major and minor number of the release; None if it is unknown."""
        try:
            raw = self._get("/system/info", f"read the release of {self._access.url}")
        except NoToken:
            raise
        except ClusterError as error:
            log.info("the release of OSCAR is not known: %s", error)
            return None
        found = release.parse_release(raw)
        self.version = clean_foreign(str(raw["version"]), self._secrets, 40) if found else ""
        return found

    def locate_logs(self, service: str) -> str:
        """The URL below which the logs of a service's jobs are, by their names."""
        return f"{self._access.url}{job_list.make_path(service, '')}"

    def apply(self, definition: Mapping[str, Any]) -> bool:
        """Creates the service, or replaces the one of that name; True if it is new.

        A replacement keeps the owner: a PUT without one would lock the owner out.
        """
        name = str(definition["name"])
        attempt = f"deploy service {name} on {self._access.url}"
        known = self._send("GET", f"/system/services/{quote(name, safe='')}", attempt)
        if known.code == HTTPStatus.OK:
            owner = (decode_json(known, attempt) or {}).get("owner", "")
            body = {**definition, "owner": owner}
            check_status(self._send("PUT", "/system/services", attempt, body), attempt)
            return False
        if known.code not in {400, 404}:
            check_status(known, attempt)
        check_status(self._send("POST", "/system/services", attempt, dict(definition)), attempt)
        return True

    def read_secret_names(self, name: str) -> frozenset[str]:
        """The secrets that the cluster keeps for a service; releases before 3.4 keep none."""
        raw = self._get(f"/system/services/{quote(name, safe='')}", f"read service {name}")
        environment = raw.get("environment") if isinstance(raw, dict) else None
        return frozenset((environment or {}).get("secrets") or {})

    def list_jobs(self, name: str) -> JobList:
        """The jobs of a service; one call for every 70 jobs, which delays each `POST /job`."""
        token, jobs = "", JobList({}, 0)
        while True:
            path = job_list.make_page_path(name, token)
            raw = self._get(path, f"list the jobs of {name} on {self._access.url}")
            before, (page, token) = token, job_list.parse_page(raw)
            jobs = jobs.extend(page)
            if not token or token == before:
                return jobs

    def read_log(self, name: str, job: str) -> str:
        """The log of a job so far. Raises ClusterError if it has none."""
        attempt = f"read the log of job {job} on {self._access.url}"
        return check_status(self._send("GET", job_list.make_path(name, job), attempt), attempt).text

    def delete_job(self, name: str, job: str) -> None:
        """Deletes one job of a service; its pod may run on for 30 s. Raises ClusterError."""
        attempt = f"delete job {job}"
        check_status(self._send("DELETE", job_list.make_path(name, job), attempt), attempt)

    def invoke(self, service: Service, body: bytes, *, job: str) -> Reply:
        """One `POST /job/<service>`; never raises for what the cluster answers.

        `job` is the name that OSCAR 4.1+ gives to the Kubernetes job, which makes a repeated
        request harmless there; earlier releases ignore it.
        """
        headers = {"Authorization": f"Bearer {service.token}", "X-Delegated-Job-ID": job}
        try:
            answer = self._exchange("POST", f"/job/{quote(service.name, safe='')}", headers, body)
        except HTTPError as error:
            verdict = Verdict.BUSY if was_never_sent(error) else Verdict.UNCERTAIN
            return Reply(verdict, explain_unanswered(error))
        return judge_reply(replace(answer, secrets=(service.token, *answer.secrets)), job)

    def _get(self, path: str, attempt: str) -> Any:
        return decode_json(check_status(self._send("GET", path, attempt), attempt), attempt)

    def _send(
        self, method: str, path: str, attempt: str, body: Mapping[str, Any] | None = None
    ) -> Answer:
        content = json.dumps(body).encode() if body else None

        def send(number: int) -> Answer:
            answer = self._exchange_authorized(method, path, content)
            if method == "GET" and answer.is_temporary and number <= len(_DELAYS_S):
                raise _Temporary
            return answer

        try:
            return retry(
                send,
                delays_s=_DELAYS_S,
                repeatable=lambda error: isinstance(error, _Temporary),
                sleep=self._sleep,
            )
        except HTTPError as error:
            raise ClusterError(f"could not {attempt}: {explain_unanswered(error)}") from error

    def _exchange_authorized(self, method: str, path: str, body: bytes | None) -> Answer:
        """One request, and another one if an access token is refused."""
        if self._tokens is None:
            return self._exchange(method, path, {"Authorization": self._authorization}, body)
        token = self._tokens.read()
        answer = self._exchange(method, path, {"Authorization": f"Bearer {token}"}, body)
        if answer.code == HTTPStatus.UNAUTHORIZED:
            self._tokens.drop(token)
            token = self._tokens.read()
            answer = self._exchange(method, path, {"Authorization": f"Bearer {token}"}, body)
        return replace(answer, secrets=(*self._secrets, token))

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """One request and its answer. Raises errors of urllib3."""
        kind = {"Content-Type": "application/json"} if body is not None else {}
        response = self._session.send(
            method, f"{self._access.url}{path}", headers={**headers, **kind}, body=body
        )
        return Answer(
            response.status,
            response.data.decode(errors="replace"),
            location=str(response.headers.get("Location", ""))
            if response.get_redirect_location()
            else "",
            secrets=self._secrets,
        )

    def _allow_answer(self, body: Any, headers: Mapping[str, str]) -> tuple[float, int]:
        # Creating a service restarts MinIO and takes six seconds at the least.
        creates = body and "X-Delegated-Job-ID" not in headers
        timeout_s = self._access.timeout_s
        return (max(timeout_s, _CREATION_S) if creates else timeout_s), _MOST_BYTES
