# SPDX-License-Identifier: Apache-2.0
"""Chooses how a run hands its items to the service: the mode. Pure.

The service has the kit if its script has the kit's marker. It mounts the data if the bucket of its
mount is the data bucket; a mount of another bucket counts as none.

service.mode   the kit   mounts the data   input     the mode
auto           yes       any               any       pull
auto           no        yes               no        range
auto           no        yes               yes       refused: service.mode must say it
auto           no        no                yes       event
auto           no        no                no        refused
pull           yes       any               any       pull
pull           no        any               any       refused
range          yes       any               any       range
range          no        yes               any       range
range          no        no                any       refused
event          any       any               any       event
"""

from __future__ import annotations

from dataclasses import dataclass

from ...model.service import Folder, Mode, Service


@dataclass(frozen=True, slots=True)
class ModeChoice:
    """The mode of a run and why; None with the reason and what to do if the run is refused."""

    mode: Mode | None
    reason: str


def choose_mode(asked: Mode, service: Service, data: Folder) -> ModeChoice:
    """The mode for a service, by the table above."""
    if asked is Mode.EVENT:
        return ModeChoice(Mode.EVENT, f"service.mode says so of {service.name}")
    if service.has_kit:
        mode = Mode.PULL if asked is Mode.AUTO else asked
        return ModeChoice(mode, f"the script of {service.name} has the worker kit")
    if asked is Mode.PULL:
        return ModeChoice(
            None,
            f"service.mode: pull needs the worker kit, and the script of {service.name} does not "
            "have its marker, the line `# oscar-batch worker 1`",
        )
    mounts = service.mount is not None and service.mount.bucket == data.bucket
    if mounts and asked is Mode.AUTO and service.inputs:
        return ModeChoice(
            None,
            f"service.mode: {service.name} mounts bucket {data.bucket} and has an input folder, so "
            "it may read ranges of index lines or single files; if its script reads start and end "
            "from the invocation, set service.mode: range; if it processes one uploaded file, set "
            "service.mode: event",
        )
    if mounts:
        return ModeChoice(Mode.RANGE, f"{service.name} mounts {service.mount}")
    if asked is Mode.AUTO and service.inputs:
        reason = f"{service.name} has an input folder and no mount of bucket {data.bucket}"
        return ModeChoice(Mode.EVENT, reason)
    return ModeChoice(
        None,
        f"service.name: {service.name} neither mounts bucket {data.bucket} nor has the worker kit "
        "in its script, so its jobs would process the text of their invocation and no file of the "
        f"bucket; give the service a mount of {data.bucket} and a script that reads start and end, "
        "or a script with the kit; if it processes uploaded files, set service.mode: event",
    )
