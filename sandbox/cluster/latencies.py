# SPDX-License-Identifier: Apache-2.0
"""How long a real cluster takes for what the sandbox does at once: the values of `--latencies`.

Pure. `real` are the times that were seen with OSCAR 4.1.2 and 3.7.1 on Kubernetes 1.34.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds; a test that is not about them uses none."""

    service_s: float = 0.0
    """Creating or deleting a service, or giving it a new folder: OSCAR restarts MinIO and waits."""
    grace_s: float = 0.0
    """From the deletion of a job or the eviction of its pod to SIGKILL; the script runs on."""
    finish_s: float = 0.0
    """How long a job whose container has ended is still shown as running."""
    sidecar_s: float = 0.0
    """How much longer the sidecar of a mount takes before OSCAR 4.1 than the time between looks."""
    pod_s: float = 0.0
    """Until a new job has a pod; it is shown as suspended before."""


NONE = Latencies()
REAL = Latencies(service_s=6.5, grace_s=30.0, finish_s=1.5, sidecar_s=10.0, pod_s=0.3)


def parse_latencies(text: str) -> Latencies:
    """`none`, `real`, or some of the fields: `grace_s=30,pod_s=0.3`."""
    if text in ("none", "real"):
        return REAL if text == "real" else NONE
    known = [field.name for field in fields(Latencies)]
    values: dict[str, float] = {}
    for pair in text.split(","):
        name, _, number = pair.partition("=")
        try:
            values[name] = float(number)
        except ValueError:
            name = ""
        if name not in known or not values[name] >= 0:
            raise ValueError(
                f"latencies are none, real, or some of {', '.join(known)} with their seconds, "
                f"such as grace_s=30; got {text!r}"
            )
    return Latencies(**values)
