# SPDX-License-Identifier: Apache-2.0
"""`OscarClient` calls the REST API of OSCAR's manager and returns model values.

Every answer is checked against what OSCAR really sends: a submission succeeds with 201 and an empty
body, a refusal may be a 200 with an empty body, and the body of an error is plain text, sometimes
two texts in a row.
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth

from ..model.access import ClusterAccess, StorageAccess
from ..model.cluster import Cluster, Quota
from ..model.errors import ClusterError, NoStatus, clean_foreign
from ..model.run import Reply, Verdict
from ..model.service import Service
from . import definition, release, status

log = logging.getLogger(__name__)

# The owner that OSCAR writes into a service that was created with basic credentials.
_ADMINISTRATOR = "cluster_admin"
# OSCAR 4.1.2 on a service that 3.7.1 stored: 500, for reading, updating, deleting and invoking it.
_UNREADABLE = re.compile(r'the FDL of the service "([^"]+)" cannot be read')


class _Bearer(AuthBase):
    """A token for requests; a header alone would be replaced by credentials of a netrc file."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class OscarClient:
    """One OSCAR cluster, seen with one account."""

    def __init__(self, access: ClusterAccess) -> None:
        """Opens no connection."""
        self._access = access
        self._auth: AuthBase = (
            HTTPBasicAuth(access.username.encode(), access.password.encode())
            if access.password
            else _Bearer(access.token)
        )
        self._session = requests.Session()
        self._session.verify = (access.ca_file or True) if access.verify else False
        if not access.verify:  # asked for in the config; the report says so
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def read_service(self, name: str) -> Service:
        """The target service. Raises ClusterError if it is missing, hidden or unusable."""
        attempt = f"read service {name} on {self._access.url}"
        raw = self._get(f"/system/services/{quote(name, safe='')}", attempt)
        if not isinstance(raw, dict) or not raw.get("token"):
            raise ClusterError(f"could not {attempt}: the answer is not a service definition")
        return replace(definition.parse_service(raw), name=name)

    def read_quota(self, owner: str) -> Quota | None:
        """What the queue of a service's owner still admits; None if no quota is known.

        Queues exist where Kueue is on, and never for services of the cluster's administrator.
        Whoever has a token sees his own quota only, an administrator everybody's.
        """
        if owner == _ADMINISTRATOR:
            return None
        own, others = "/system/quotas/user", f"/system/quotas/user/{quote(owner, safe='')}"
        for path in (others, own) if owner and self._access.password else (own,):
            try:
                raw = self._get(path, f"read the quota on {self._access.url}")
                found = definition.parse_quota(raw if isinstance(raw, dict) else {})
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
            return status.parse_status(self._get("/system/status", attempt))
        except NoStatus:
            raise
        except ClusterError as error:
            # Where rights or metrics are missing, some releases answer 500 or with nothing, and
            # others end the manager, which breaks the connection.
            if isinstance(error, _Refused) and error.code in {401, 403}:
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
        except ClusterError as error:
            log.info("the release of OSCAR is not known: %s", error)
            return None
        return release.parse_release(raw)

    def apply(self, definition: Mapping[str, Any]) -> bool:
        """Creates the service, or replaces the one of that name; True if it is new.

        A replacement keeps the owner: a PUT without one would lock the owner out.
        """
        name = str(definition["name"])
        attempt = f"deploy service {name} on {self._access.url}"
        known = self._send("GET", f"/system/services/{quote(name, safe='')}", attempt)
        if known.status_code == requests.codes.ok:
            owner = (_decode_json(known, attempt) or {}).get("owner", "")
            body = {**definition, "owner": owner}
            _check_status(self._send("PUT", "/system/services", attempt, body), attempt)
            return False
        if known.status_code not in {400, 404}:
            _check_status(known, attempt)
        _check_status(self._send("POST", "/system/services", attempt, dict(definition)), attempt)
        return True

    def read_secret_names(self, name: str) -> frozenset[str]:
        """The secrets that the cluster keeps for a service; releases before 3.4 keep none."""
        raw = self._get(f"/system/services/{quote(name, safe='')}", f"read service {name}")
        environment = raw.get("environment") if isinstance(raw, dict) else None
        return frozenset((environment or {}).get("secrets") or {})

    def invoke(self, service: Service, body: bytes, *, job: str) -> Reply:
        """One `POST /job/<service>`; never raises for what the cluster answers.

        `job` is the name that OSCAR 4.1+ gives to the Kubernetes job, which makes a repeated
        request harmless there; earlier releases ignore it.
        """
        url = f"{self._access.url}/job/{quote(service.name, safe='')}"
        try:
            answer = self._session.post(
                url,
                data=body,
                auth=_Bearer(service.token),
                headers={"Content-Type": "application/json", "X-Delegated-Job-ID": job},
                timeout=self._access.timeout_s,
                allow_redirects=False,
            )
        except requests.ConnectionError as error:
            verdict = Verdict.BUSY if _was_never_sent(error) else Verdict.UNCERTAIN
            return Reply(verdict, _explain_unanswered(error))
        except requests.RequestException as error:
            return Reply(Verdict.UNCERTAIN, _explain_unanswered(error))
        return _judge_reply(answer, job)

    def _get(self, path: str, attempt: str) -> Any:
        return _decode_json(_check_status(self._send("GET", path, attempt), attempt), attempt)

    def _send(
        self, method: str, path: str, attempt: str, body: Mapping[str, Any] | None = None
    ) -> requests.Response:
        # Creating a service restarts MinIO and takes six seconds at the least.
        timeout_s = max(self._access.timeout_s, 60.0) if body else self._access.timeout_s
        try:
            return self._session.request(
                method,
                f"{self._access.url}{path}",
                json=body,
                auth=self._auth,
                timeout=timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise ClusterError(f"could not {attempt}: {_explain_unanswered(error)}") from error


class _Refused(ClusterError):
    """An answer other than success, with its status code for this module's own decisions."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def _check_status(answer: requests.Response, attempt: str) -> requests.Response:
    code = answer.status_code
    if requests.codes.ok <= code < requests.codes.multiple_choices:
        return answer
    said = f" ({_quote(answer)})" if answer.text.strip() else ""
    advice = {
        401: "OSCAR refused the credentials; check oscar_cluster.auth_basic or auth_token",
        403: "these credentials may not do that; ask the service's owner",
        404: "nothing there has that name; check service.name and oscar_cluster.url",
    }.get(code, f"OSCAR answered HTTP {code}")
    if unreadable := _UNREADABLE.search(answer.text):
        name = clean_foreign(unreadable[1])
        advice = (
            f"OSCAR cannot read the definition of service {name}, which a release before 4.1 "
            f"stored; until its ConfigMap is removed (kubectl delete configmap {name} --namespace "
            "oscar-svc), nobody can list the services; then deploy it again"
        )
    if answer.is_redirect:
        advice = (
            f"it redirects to {clean_foreign(answer.headers['Location'])}; give that as the url"
        )
    raise _Refused(f"could not {attempt}: {advice}{said}", code)


def _decode_json(answer: requests.Response, attempt: str) -> Any:
    """The first JSON document of a body; OSCAR may append a second one."""
    text = answer.text.lstrip()
    if not text:
        raise ClusterError(
            f"could not {attempt}: the answer is empty, which some OSCAR releases give for "
            "missing permission; check the credentials"
        )
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError) as error:
        raise ClusterError(
            f"could not {attempt}: the answer is not JSON; is this the address of OSCAR?"
        ) from error


def _judge_reply(answer: requests.Response, job: str) -> Reply:
    """What an answer to `POST /job` proves."""
    code, said = answer.status_code, _quote(answer)
    detail = f"HTTP {code}" + (f": {said}" if said else "")
    if requests.codes.ok <= code < requests.codes.multiple_choices:
        # Every release answers an invocation with 201. Anything else, such as the login page of a
        # proxy, proves nothing.
        if code == requests.codes.created:
            return Reply(Verdict.ACCEPTED)
        return Reply(Verdict.UNCERTAIN, f"{detail}: OSCAR answers 201; is this its address?")
    # The exact text of OSCAR 4.1.2: an earlier request for this very job came through. Other things
    # that exist already (a secret, a job of another name) are refusals.
    if said == f'jobs.batch "{job}" already exists':
        return Reply(Verdict.ACCEPTED, detail)
    if code == requests.codes.unauthorized:
        return Reply(Verdict.STALE_TOKEN, f"{detail}: OSCAR refused the service's token")
    if code in {requests.codes.too_many_requests, requests.codes.service_unavailable}:
        return Reply(Verdict.BUSY, detail)
    timed_out = any(word in said for word in ("timeout", "timed out", "deadline"))
    if code in {502, 504} or (code == requests.codes.server_error and (timed_out or not said)):
        return Reply(Verdict.UNCERTAIN, detail)
    return Reply(Verdict.REFUSED, detail)


def _quote(answer: requests.Response) -> str:
    """The body for a message."""
    return clean_foreign(answer.text, _find_sent_secrets(answer))


def _find_sent_secrets(answer: requests.Response) -> tuple[str, ...]:
    """The credentials of the request, which a server may echo."""
    scheme, _, sent = str(answer.request.headers.get("Authorization", "")).partition(" ")
    pair = b64decode(sent).decode(errors="replace") if scheme == "Basic" else ""
    return sent, pair, pair.partition(":")[2]


def _was_never_sent(error: requests.ConnectionError) -> bool:
    """Whether the connection itself failed, so that the request cannot have arrived."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.SSLError)


def _explain_unanswered(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate is not trusted; give oscar_cluster.ca_file, or verify false"
    if isinstance(error, requests.Timeout):
        return "no answer in time; check oscar_cluster.url or raise oscar_cluster.timeout_s"
    if isinstance(error, requests.ConnectionError) and _was_never_sent(error):
        return "nothing accepts connections there; check oscar_cluster.url"
    return f"the connection broke ({type(error).__name__})"
