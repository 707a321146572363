# SPDX-License-Identifier: Apache-2.0
"""Writes and reads the notes of invocations, which are in the folder of the run.

A coordinator that continues the run reads them. A note is written before its request, so every job
that may exist has a note. The name of a note is the worker's name in pull mode,
`chunk-<round>-<number>` in range mode, and `item-<round>-<line>` in event mode.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from ..model.errors import StorageError
from ..model.pull.documents import Post
from ..model.pull.lanes import name_worker
from ..model.run import Invocation, Reply, Sent, State, Verdict
from ..report.values import BadDocument
from ..run.layout import RunLayout
from ..run.pull_documents import decode_document, encode_document
from ..storage.bucket import Bucket
from ..storage.pages import ListQuery
from .submission import Steps

log = logging.getLogger(__name__)

_JSON = "application/json"
_MAX_BYTES = 16 * 1024
_STATES = {
    str(Verdict.ACCEPTED): State.INVOKED,
    str(Verdict.REFUSED): State.FAILED,
    str(Verdict.STALE_TOKEN): State.FAILED,
    str(Verdict.BUSY): State.FAILED,
}

NamePost = Callable[[Invocation], str]


class PostNotes:
    """The notes of one run."""

    def __init__(
        self, state: Bucket, layout: RunLayout, read_clock: Callable[[], datetime]
    ) -> None:
        self._state, self._layout, self._read_clock = state, layout, read_clock
        self._posts: dict[str, Post] = {}

    def list_names(self) -> Iterator[str]:
        """The names of all notes that earlier coordinators wrote. Raises StorageError."""
        for page in self._state.list_objects(ListQuery(self._layout.posts)):
            for raw in page.keys:
                key = raw.decode(errors="replace")
                yield key.removeprefix(self._layout.posts).removesuffix(".json")

    def read(self, name: str) -> Post:
        """One note. Raises StorageError if it cannot be read."""
        key = self._layout.post(name)
        try:
            post = decode_document(Post, self._state.read_small(key, _MAX_BYTES) or b"")
        except BadDocument as error:
            raise StorageError(
                f"{self._state.name}/{key} cannot be read ({error}): it says which job was "
                "started; delete it if that job is known to be gone"
            ) from error
        self._posts[name] = post
        return post

    def read_all(self) -> tuple[Post, ...]:
        """All notes of earlier coordinators. Raises StorageError."""
        return tuple([self.read(name) for name in self.list_names()])

    def record(self, number: int, steps: Steps, name: NamePost) -> Steps:
        """Adds to the steps: a note before each request of a round, updated after its answer."""

        def before_post(invocation: Invocation) -> None:
            steps.before_post(invocation)
            key = name(invocation)
            known = self._posts.get(key)
            if known is None:
                since = self._read_clock().isoformat()
                post = Post(key, number, invocation.lane, invocation.job, since)
                self._state.put_new(self._layout.post(key), encode_document(post), _JSON)
                self._posts[key] = post
            elif was_refused(known):  # that is not true of the request that comes now
                self._posts[key] = post = replace(known, verdict="", detail="")
                self._state.write(self._layout.post(key), encode_document(post), _JSON)

        def after_answer(invocation: Invocation, reply: Reply) -> None:
            key = name(invocation)
            known, verdict = self._posts[key], reply.verdict
            if known.verdict == Verdict.UNCERTAIN and verdict is not Verdict.ACCEPTED:
                verdict = Verdict.UNCERTAIN  # of a request before this one
            self._posts[key] = post = replace(known, verdict=str(verdict), detail=reply.detail)
            try:
                self._state.write(self._layout.post(key), encode_document(post), _JSON)
            except StorageError as error:  # the intent is noted
                log.warning("the answer to %s is not noted: %s", invocation.name, error)

        return replace(steps, before_post=before_post, after_answer=after_answer)

    def forget(self, invocation: Invocation, name: NamePost) -> None:
        """Removes a note from memory, not from the bucket: there may be millions."""
        self._posts.pop(name(invocation), None)

    def choose_number(self, epoch: int) -> int:
        """The next free worker number of this epoch."""
        prefix = name_worker(epoch, 0)[:-5]
        numbers = [int(name[-5:]) for name in self._posts if name.startswith(prefix)]
        return max(numbers, default=0) + 1


def find_invoked_worker(invocation: Invocation) -> str:
    """The name of the worker, from an invocation that is named `worker 0001-00003`."""
    return invocation.name.rpartition(" ")[2]


def describe_post(post: Post, invocation: Invocation) -> Sent:
    """The state of an earlier coordinator's invocation. Without an answer its job may exist."""
    state = _STATES.get(post.verdict, State.UNCERTAIN)
    return Sent(invocation, state, 1, post.detail)


def must_send_again(post: Post | None, *, named: bool) -> bool:
    """Whether to send an invocation that an earlier coordinator may have sent.

    True if no request was sent, or if it certainly created no job. If the answer is not known, true
    only where jobs have names: the answer to the second request then tells if the job exists.
    """
    if post is None:
        return True
    if not post.verdict or post.verdict == Verdict.UNCERTAIN:
        return named
    return was_refused(post)


def was_refused(post: Post) -> bool:
    """Whether the invocation has certainly created no job."""
    return _STATES.get(post.verdict) is State.FAILED
