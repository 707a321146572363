# SPDX-License-Identifier: Apache-2.0
"""Globs → a matcher of keys whose time is linear in the length of the key, whatever the glob.

A glob is a list of blocks between its `**`. The regular expression of a block takes the earliest
match of every part and never tries another one (atomic groups), which is right for globs: what
follows a `*` or `**` fits behind an earlier match if it fits behind a later one. Only a block with
a `*` that may start anywhere (`a**b*c`) has no such expression: then the key is read by a set of
states, which takes longer and is linear too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

Matcher = Callable[[bytes, int], object]
"""Takes a key and where the part below the folder starts in it; true if a glob matches that."""

# Over bytes "." would be a byte, so letters outside ASCII are spelled as UTF-8 allows them.
_LETTER = r"(?:[^/\x80-\xff]|[\xc2-\xf4][\x80-\xbf]++)"
_MOST_MASKS = 4096


class _Kind(Enum):
    ONE = "one letter"
    SLASH = "/"
    STAR = "*"
    ANY = "**"
    FOLDERS = "**/"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    of_bytes: str = ""
    """Of a letter: its expression over bytes."""
    of_text: str = ""
    """The same over text."""


_SLASH, _STAR = _Token(_Kind.SLASH, "/", "/"), _Token(_Kind.STAR)
_ANY, _FOLDERS = _Token(_Kind.ANY), _Token(_Kind.FOLDERS)


def compile_globs(globs: Sequence[str]) -> Matcher:
    """A matcher of the keys that at least one of the globs matches. Raises ValueError."""
    tokens = [list(_simplify(_read_tokens(glob))) for glob in globs]
    expressions = [_translate(each) for each in tokens]
    whole = "|".join(f"(?:{each})" for each in expressions if each is not None)
    machines = [
        _Machine(each) for each, found in zip(tokens, expressions, strict=True) if found is None
    ]
    # With DOTALL, since a key may hold a line break.
    compiled = re.compile(whole.encode(), re.DOTALL).fullmatch
    if not machines:
        return compiled

    def match(key: bytes, start: int) -> object:
        return (whole and compiled(key, start)) or any(each.match(key[start:]) for each in machines)

    return match


def _read_tokens(glob: str) -> Iterator[_Token]:
    if not glob.strip("/"):
        raise ValueError("must be a glob such as *.jpg or 2024/**/*.jpg")
    path = glob.lstrip("/") if "/" in glob else f"**/{glob}"
    position = 0
    while position < len(path):
        token, position = _read_token(path, position)
        yield token


def _read_token(path: str, at: int) -> tuple[_Token, int]:
    """The next token, and where the one after it starts."""
    if path.startswith("**/", at) and (at == 0 or path[at - 1] == "/"):
        return _FOLDERS, at + 3
    if path.startswith("**", at):
        return _ANY, at + 2
    if path[at] in "*/":
        return (_STAR if path[at] == "*" else _SLASH), at + 1
    if path[at] == "?":
        return _Token(_Kind.ONE, _LETTER, "[^/]"), at + 1
    end = path.find("]", at + 3 if path.startswith("[!", at) else at + 2)
    if path[at] == "[" and end > 0:
        return _read_choice(path[at + 1 : end]), end + 1
    literal = re.escape(path[at])
    return _Token(_Kind.ONE, literal, literal), at + 1


def _read_choice(inside: str) -> _Token:
    """`[a-z0]` and `[!a-z0]`. A letter outside ASCII is several bytes, so none may be in it."""
    if not inside.isascii():
        raise ValueError("a choice [...] may only hold ASCII characters")
    body = inside.removeprefix("!")
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", body)
    try:
        re.compile(f"[{escaped}]")
    except re.error as error:
        raise ValueError(f"[{inside[:20]}] is not a choice of characters") from error
    if inside != body:
        return _Token(_Kind.ONE, f"(?:(?![{escaped}]){_LETTER})", f"(?![{escaped}])[^/]")
    return _Token(_Kind.ONE, f"(?!/)[{escaped}]", f"(?!/)[{escaped}]")


def _simplify(tokens: Iterator[_Token]) -> Iterator[_Token]:
    """Without what the token before it, or behind it, matches as well."""
    last: _Token | None = None
    for token in tokens:
        if last is _STAR and token is not _ANY:
            yield _STAR
        absorbed = last is token is _FOLDERS or (last is _ANY and token in {_ANY, _STAR})
        if not absorbed and token is not _STAR:
            yield token
        last = last if absorbed else token
    if last is _STAR:
        yield _STAR


def _translate(tokens: Sequence[_Token]) -> str | None:
    """The expression of a glob; None if a block with a `*` may start anywhere."""
    blocks = list(_split(tokens))
    text = ""
    for number, (before, block) in enumerate(blocks):
        last = number == len(blocks) - 1
        if not before and not block:
            continue
        if before is _ANY and _STAR in block:
            return None
        start = ""
        if before is _ANY:
            start = ".*" if last else ".*?"
        elif before is _FOLDERS:
            # A name is behind the last slash; several parts may start behind each.
            name = last and _SLASH not in block
            start = "(?:.*/)?+" if name else "(?:[^/]*+/)*?"
        part = start + _translate_block(block, ends=last)
        text += part if last else f"(?>{part})"
    return text


def _split(tokens: Sequence[_Token]) -> Iterator[tuple[_Token | None, list[_Token]]]:
    """The blocks of a glob, each with the `**` or `**/` before it."""
    before: _Token | None = None
    block: list[_Token] = []
    for token in tokens:
        if token in {_ANY, _FOLDERS}:
            yield before, block
            before, block = token, []
        else:
            block.append(token)
    yield before, block


def _translate_block(block: Sequence[_Token], *, ends: bool) -> str:
    """The expression of a block. Each `*` takes up to the earliest match of what follows it."""
    parts = [""]
    for token in block:
        if token is _STAR:
            parts.append("")
        else:
            parts[-1] += token.of_bytes
    head, *parts = parts
    tail = f"[^/]*{parts.pop()}" if parts and ends else ""
    return head + "".join(_find_earliest(part) for part in parts) + tail


def _find_earliest(part: str) -> str:
    if part.startswith("/"):
        return f"[^/]*+{part}"
    if part.isalnum() and len(part) == 1 and part.isascii():
        return f"[^/{part}]*+{part}"
    return f"(?>[^/]*?{part})"


class _Machine:
    """The states in which a glob can be after every letter of a key, as the bits of a number."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._letters: list[tuple[int, re.Pattern[str]]] = []
        # States that stay: on any letter, on all but a slash. States that end at once: before one
        # token and, for `**/`, also before the next but one.
        self._stays = self._stays_within = self._passes = self._leaps = 0
        self._masks: dict[str, int] = {}
        bit = 1
        for token in tokens:
            if token is _FOLDERS:
                self._leaps |= bit
                bit <<= 1
                self._stays |= bit
                self._letters.append((bit, re.compile("/")))
            elif token is _ANY or token is _STAR:
                self._passes |= bit
                self._stays |= bit if token is _ANY else 0
                self._stays_within |= bit if token is _STAR else 0
            else:
                self._letters.append((bit, re.compile(token.of_text, re.DOTALL)))
            bit <<= 1
        self._end = bit

    def match(self, key: bytes) -> bool:
        states = self._pass(1)
        for letter in key.decode(errors="surrogateescape"):
            stays = self._stays if letter == "/" else self._stays | self._stays_within
            states = self._pass(((states & self._get_mask(letter)) << 1) | (states & stays))
            if not states:
                return False
        return bool(states & self._end)

    def _pass(self, states: int) -> int:
        leaps = states & self._leaps
        states |= (leaps << 1) | (leaps << 2)
        return states | ((states & self._passes) << 1)

    def _get_mask(self, letter: str) -> int:
        """The states that take this letter."""
        if (mask := self._masks.get(letter)) is None:
            mask = sum(bit for bit, pattern in self._letters if pattern.fullmatch(letter))
            if len(self._masks) < _MOST_MASKS:
                self._masks[letter] = mask
        return mask
