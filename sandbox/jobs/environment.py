# SPDX-License-Identifier: Apache-2.0
"""The environment variables of a job's container.

Those of its image, of Kubernetes, of the service and of OSCAR. Nothing of the host's.
"""

import sys
from pathlib import Path

from ..cluster.job_record import Job
from ..cluster.profiles import Profile
from ..services.registry import Service

WATCHDOG = {
    "fprocess": "/oscar/bin/supervisor",
    "max_inflight": "1",
    "write_debug": "true",
    "exec_timeout": "0",
    "read_timeout": "300",
    "write_timeout": "300",
    "healthcheck_interval": "5",
}
IMAGE_ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
    ":/sbin:/bin",
    "HOME": "/root",
}
# What Kubernetes adds to every container: the address of its API, which is not there.
KUBERNETES_API = "10.96.0.1"
KUBERNETES_ENVIRONMENT = {
    "KUBERNETES_SERVICE_HOST": KUBERNETES_API,
    "KUBERNETES_SERVICE_PORT": "443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "KUBERNETES_PORT": f"tcp://{KUBERNETES_API}:443",
    "KUBERNETES_PORT_443_TCP": f"tcp://{KUBERNETES_API}:443",
    "KUBERNETES_PORT_443_TCP_ADDR": KUBERNETES_API,
    "KUBERNETES_PORT_443_TCP_PORT": "443",
    "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
}


def make_environment(job: Job, service: Service, event: bytes, profile: Profile) -> dict[str, str]:
    """All variables; a later one replaces an earlier one, as in a pod."""
    declared = service.definition["environment"]
    own = {
        "OSCAR_SERVICE_NAME": service.name,
        "OSCAR_SERVICE_TOKEN": service.token,
        "OSCAR_SERVICE_BASE_PATH": "",  # set for exposed services, which are not simulated
    }
    return {
        **IMAGE_ENVIRONMENT,
        **KUBERNETES_ENVIRONMENT,
        "HOSTNAME": f"{job.name}-{job.uid[:5]}",
        **declared["secrets"],
        **declared["variables"],
        **(own if profile.service_env else {}),
        **WATCHDOG,
        "EVENT": event.decode("utf-8", "replace"),
        "JOB_UUID": job.name,
        "RESOURCE_ID": job.node,
    }
