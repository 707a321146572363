# SPDX-License-Identifier: Apache-2.0
"""Asks a person on a terminal: questions on stderr, because stdout is for results."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence

from ..model.errors import ConfigError
from .output import print_note


def can_ask() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str = "") -> str:
    """Asks; returns the answer, or the default if it is empty. ConfigError at end of input."""
    shown = f" [{default}]" if default else ""
    print_note(f"{question}{shown}: ", end="")
    if not (line := sys.stdin.readline()):
        raise ConfigError(
            ["the input ended before all questions were answered; nothing is written"]
        )
    return line.strip() or default


def ask_secret(question: str) -> str:
    """Asks for a secret: the terminal does not show the answer."""
    return getpass.getpass(f"{question}: ").strip()


def confirm(question: str) -> bool:
    return ask(f"{question} (y/n)", "n").lower() in {"y", "yes"}


def choose(question: str, offers: Sequence[tuple[str, str]], default: str = "") -> str:
    """Lists the offers with their descriptions; the user types a name or a number. Its name."""
    names = [name for name, _ in offers]
    width = max(map(len, names))
    for number, (name, about) in enumerate(offers, start=1):
        print_note(f"  {number:2}  {name:{width}}  {about}")
    while True:
        typed = ask(question, default)
        if typed in names:
            return typed
        if typed.isdecimal() and 1 <= int(typed) <= len(names):
            return names[int(typed) - 1]
        print_note(f"  {typed or 'nothing'} is not in the list; type a number or a name")
