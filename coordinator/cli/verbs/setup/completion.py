# SPDX-License-Identifier: Apache-2.0
"""`completion`: prints the completion script of this program for bash, zsh or fish.

The scripts are made from the parser, so that they know every verb and every option.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...arguments import make_parser
from ...output import write_stdout

PROGRAM = "oscar-batch"


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an option or an argument: one of the choices, a file, or any text."""

    choices: tuple[str, ...] = ()
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """An option; without a value it is a flag."""

    names: tuple[str, ...]
    about: str
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb with its options and its arguments."""

    name: str
    about: str
    options: tuple[Option, ...]
    value: Value


def execute(arguments: argparse.Namespace) -> int:
    """Prints the script of a shell."""
    write_stdout(_WRITERS[arguments.shell](read_verbs(make_parser())))
    return 0


def read_verbs(parser: argparse.ArgumentParser) -> tuple[Verb, ...]:
    """The verbs of a parser, from private members: argparse has no public API for its options."""
    (verbs,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    about = {each.dest: each.help or "" for each in verbs._choices_actions}
    return tuple(
        Verb(
            name,
            about[name],
            tuple(_read_option(each) for each in verb._actions if each.option_strings),
            next((_read_value(each) for each in verb._actions if not each.option_strings), Value()),
        )
        for name, verb in verbs.choices.items()
    )


def _read_option(action: argparse.Action) -> Option:
    about = " ".join((action.help or "").split())
    return Option(
        tuple(action.option_strings), about, None if action.nargs == 0 else _read_value(action)
    )


def _read_value(action: argparse.Action) -> Value:
    # A range of numbers is too long for a list of choices.
    choices = () if isinstance(action.choices, range) else action.choices or ()
    return Value(tuple(map(str, choices)), action.type is Path)


def _write_bash(verbs: tuple[Verb, ...]) -> str:
    names = " ".join(verb.name for verb in verbs)
    return f"""\
# Completion of {PROGRAM} in bash. Use it: eval "$({PROGRAM} completion bash)"
_oscar_batch() {{
    local verb=${{COMP_WORDS[1]}}
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{names} --help --version" -- "$current"))
        return
    fi
    case "$verb $before" in
{_join_lines(_write_bash_values(verbs))}    esac
    case "$verb" in
{_join_lines(_write_bash_verb(verb) for verb in verbs)}    esac
}}
complete -o filenames -F _oscar_batch {PROGRAM}
"""


def _join_lines(lines: Iterator[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _write_bash_values(verbs: tuple[Verb, ...]) -> Iterator[str]:
    for verb in verbs:
        for option in verb.options:
            if option.value:
                cases = "|".join(f'"{verb.name} {name}"' for name in option.names)
                yield f"{cases}) {_complete_in_bash(option.value)}; return ;;"


def _write_bash_verb(verb: Verb) -> str:
    options = [name for option in verb.options for name in option.names]
    listed = _complete_in_bash(Value(tuple(options)))
    alone = _complete_in_bash(verb.value)
    return f'{verb.name}) case "$current" in -*) {listed} ;; *) {alone} ;; esac ;;'


def _complete_in_bash(value: Value) -> str:
    if value.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(value.choices)}" -- "$current"))'
    if value.is_file:
        return "local IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$current\"))"
    return ":"


def _write_zsh(verbs: tuple[Verb, ...]) -> str:
    names = "".join(f"        {_quote(_escape(v.name) + ':' + v.about)}\n" for v in verbs)
    cases = "".join(
        f"    {verb.name}) _arguments {' '.join(_write_zsh_verb(verb))} ;;\n" for verb in verbs
    )
    return f"""\
#compdef {PROGRAM}
# Completion of {PROGRAM} in zsh. Use it: {PROGRAM} completion zsh >"${{fpath[1]}}/_{PROGRAM}"
_oscar_batch() {{
    local -a verbs=(
{names}    )
    if (( CURRENT == 2 )); then
        _describe command verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT -= 1 ))
    case $verb in
{cases}    esac
}}
if [ "$funcstack[1]" = "_{PROGRAM}" ]; then
    _oscar_batch "$@"
else
    compdef _oscar_batch {PROGRAM}
fi
"""


def _write_zsh_verb(verb: Verb) -> Iterator[str]:
    for option in verb.options:
        about = _escape(option.about).replace("[", "\\[").replace("]", "\\]")
        for name in option.names:
            yield _quote(f"{name}[{about}]{_complete_in_zsh(option.value)}")
    if verb.value != Value():
        yield _quote(f"1{_complete_in_zsh(verb.value)}")


def _complete_in_zsh(value: Value | None) -> str:
    if value is None:
        return ""
    if value.choices:
        return f": :({' '.join(value.choices)})"
    return ": :_files" if value.is_file else ": : "


def _write_fish(verbs: tuple[Verb, ...]) -> str:
    return "\n".join(
        [
            f"# Completion of {PROGRAM} in fish. Use it: {PROGRAM} completion fish | source",
            f"complete -c {PROGRAM} -f",
            *(line for verb in verbs for line in _write_fish_verb(verb)),
            "",
        ]
    )


def _write_fish_verb(verb: Verb) -> Iterator[str]:
    here = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {verb.name}'"
    first = f"complete -c {PROGRAM} -n __fish_use_subcommand"
    yield f"{first} -a {verb.name} -d {_quote(verb.about)}"
    if verb.value != Value():
        yield f"{here}{_complete_in_fish(verb.value)}"
    for option in verb.options:
        names = "".join(
            f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
            for name in option.names
        )
        needs = f" -r{_complete_in_fish(option.value)}" if option.value else ""
        yield f"{here}{names}{needs} -d {_quote(option.about)}"


def _complete_in_fish(value: Value) -> str:
    if value.choices:
        return f" -a '{' '.join(value.choices)}'"
    return " -F" if value.is_file else ""


def _escape(text: str) -> str:
    """Escapes the characters that separate the parts of a zsh specification."""
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _quote(text: str) -> str:
    """Puts a text in single quotes. In fish, a backslash before other characters is a backslash."""
    return "'" + text.replace("'", "'\\''") + "'"


_WRITERS: Mapping[str, Callable[[tuple[Verb, ...]], str]] = {
    "bash": _write_bash,
    "zsh": _write_zsh,
    "fish": _write_fish,
}
