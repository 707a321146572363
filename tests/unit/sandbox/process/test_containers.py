"""What a container sees becomes a bwrap command line, whose order decides what covers what."""

from __future__ import annotations

from pathlib import Path

from sandbox.process.containers import Binding, View, make_container_command

CHECKOUT, STATE = Path("/tmp/clone"), Path("/tmp/clone/build/state")
OWN_TMP = Binding(Path("/somewhere/tmp"), "/tmp", writable=True)


def place(command: list[str], *words: str) -> int:
    """Where these words stand in a row; fails if they do not."""
    return next(i for i in range(len(command)) if tuple(command[i : i + len(words)]) == words)


def test_a_checkout_below_tmp_is_seen_in_the_containers_own_tmp() -> None:
    command = make_container_command(View((OWN_TMP,), visible=(CHECKOUT,)), ["true"])

    own_tmp = place(command, "--bind", "/somewhere/tmp", "/tmp")
    assert place(command, "--ro-bind", str(CHECKOUT), str(CHECKOUT)) > own_tmp
    assert "--tmpfs /tmp" not in " ".join(command)


def test_state_inside_a_visible_checkout_stays_hidden() -> None:
    command = make_container_command(
        View((OWN_TMP,), hidden=(STATE,), visible=(CHECKOUT,)), ["true"]
    )

    checkout = place(command, "--ro-bind", str(CHECKOUT), str(CHECKOUT))
    assert place(command, "--tmpfs", str(STATE)) > checkout


def test_a_new_path_below_a_host_directory_gets_a_mount_point(tmp_path: Path) -> None:
    binding = Binding(tmp_path, "/opt/no-such-example/here")
    command = make_container_command(View((binding,)), ["true"])

    assert place(command, "--tmpfs", "/opt") < place(
        command, "--ro-bind", str(tmp_path), "/opt/no-such-example/here"
    )
