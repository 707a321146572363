# SPDX-License-Identifier: Apache-2.0
"""What an answer of OSCAR's manager proves, and what a message says of it.

Error bodies are plain text of others: they are cleaned, and the credentials that were sent with the
request are taken out. Nothing here sends a request.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as SocketTimeout

from ..model.errors import ClusterError, clean_foreign, clean_text
from ..model.run import Reply, Verdict
from ..storage.connections import AnswerTimeout, AnswerTooLarge, explain_tls

# OSCAR 4.1.2 on a service that 3.7.1 stored: 500, for reading, updating, deleting and invoking it.
_UNREADABLE = re.compile(r'the FDL of the service "([^"]+)" cannot be read')


_TEMPORARY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the manager. Bodies are taken as UTF-8, which OSCAR writes."""

    code: int
    text: str
    location: str = ""
    """Where a redirect leads."""
    secrets: tuple[str, ...] = ()
    """The credentials of the request, which a server may echo."""

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.code < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.code in _TEMPORARY

    def quote(self) -> str:
        """The body for a message."""
        return clean_foreign(self.text, self.secrets)


class Refused(ClusterError):
    """An answer other than success, with its status code, for decisions of the client."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def check_status(answer: Answer, attempt: str) -> Answer:
    """The answer itself if it is a success; else raises Refused, which says what to do."""
    code = answer.code
    if answer.is_success:
        return answer
    said = f" ({answer.quote()})" if answer.text.strip() else ""
    advice = {
        401: "OSCAR refused the credentials; check oscar_cluster.auth_basic or auth_token",
        403: "these credentials may not do that; ask the service's owner",
        404: "nothing there has that name; check service.name and oscar_cluster.url",
    }.get(code, f"OSCAR answered HTTP {code}")
    advice = _explain_unreadable(answer) or advice
    if answer.location:
        where = clean_foreign(answer.location, answer.secrets)
        advice = f"it redirects to {where}; give that as the url"
    raise Refused(f"could not {attempt}: {advice}{said}", code)


def _explain_unreadable(answer: Answer) -> str:
    """What to do if OSCAR cannot read what an older release stored; empty for other answers."""
    found = _UNREADABLE.search(answer.text)
    if not found:
        return ""
    name = clean_foreign(found[1], answer.secrets)
    return (
        f"OSCAR cannot read the definition of service {name}, which a release before 4.1 stored; "
        f"until its ConfigMap is removed (kubectl delete configmap {name} --namespace oscar-svc), "
        "nobody can list the services; then deploy it again"
    )


def decode_json(answer: Answer, attempt: str) -> Any:
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


def judge_reply(answer: Answer, job: str) -> Reply:
    """What an answer to `POST /job` proves."""
    code, said = answer.code, answer.quote()
    detail = f"HTTP {code}" + (f": {said}" if said else "")
    if answer.is_success:
        # Every release answers an invocation with 201. Anything else, such as the login page of a
        # proxy, proves nothing.
        if code == HTTPStatus.CREATED:
            return Reply(Verdict.ACCEPTED)
        return Reply(Verdict.UNCERTAIN, f"{detail}: OSCAR answers 201; is this its address?")
    # The exact text of OSCAR 4.1.2: an earlier request for this very job came through. Other things
    # that exist already (a secret, a job of another name) are refusals.
    if clean_text(answer.text) == f'jobs.batch "{job}" already exists':
        return Reply(Verdict.ACCEPTED, detail)
    if code == HTTPStatus.UNAUTHORIZED:
        return Reply(Verdict.STALE_TOKEN, f"{detail}: OSCAR refused the service's token")
    if code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return Reply(Verdict.BUSY, detail)
    timed_out = any(word in said for word in ("timeout", "timed out", "deadline"))
    if code in {502, 504} or (code == HTTPStatus.INTERNAL_SERVER_ERROR and (timed_out or not said)):
        return Reply(Verdict.UNCERTAIN, detail)
    return Reply(Verdict.REFUSED, _explain_unreadable(answer) or detail)


def was_never_sent(error: HTTPError) -> bool:
    """Whether the connection itself failed, so that the request cannot have arrived."""
    return isinstance(error, NewConnectionError | ConnectTimeoutError | SSLError)


def explain_unanswered(error: HTTPError) -> str:
    """Why a request has no answer, and what to do."""
    if isinstance(error, SSLError):
        return explain_tls(error, "oscar_cluster")
    if isinstance(error, NameResolutionError):
        return "its host name is not known; check oscar_cluster.url"
    if isinstance(error, NewConnectionError):
        return "nothing accepts connections there; check oscar_cluster.url"
    if isinstance(error, AnswerTooLarge):
        return f"{error}; is this the address of OSCAR?"
    if isinstance(error, AnswerTimeout | SocketTimeout):
        return "no answer in time; check oscar_cluster.url or raise oscar_cluster.timeout_s"
    return f"the connection broke ({type(error).__name__})"
