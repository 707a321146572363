# SPDX-License-Identifier: Apache-2.0
"""Which release of OSCAR does what: the one table behind `--profile`.

Pure. A field is here if the difference can matter to a coordinator or to a service's script. Each
profile is the last patch of its release: v3.5.3, v3.7.1, v4.1.2.
"""

from dataclasses import dataclass
from enum import Enum, auto

TTL_S = 30 * 24 * 3600.0


class FlatPath(Enum):
    """What a release does with an input or output path that names a bucket and no folder."""

    UNNOTIFIED = auto()  # the bucket is made, uploads trigger nothing
    PANIC = auto()  # 500 and nothing else, and half a service stays behind
    PREFIXED = auto()  # `in` becomes `<service>/in`


@dataclass(frozen=True, slots=True)
class Profile:
    """The behaviour of one release."""

    name: str
    version: str
    """As /system/info answers it."""

    status_shape: str
    """Of /system/status."""
    status_kills: bool
    """A cluster without metrics ends the manager: the connection breaks, there is no answer."""

    paged: bool
    """Jobs come in pages below `jobs`, and `creation_time` is when a node accepted the pod;
    else all at once, and it is when the job was made."""
    podless: str
    """The status of a job that has no pod: suspended, or its pod was evicted."""
    post_calls: int
    """Kubernetes calls of a submission, besides the one that creates the job."""
    pod_calls_per_job: int
    """Kubernetes calls that listing costs for each job listed."""
    job_ttl_s: float | None
    """Ended jobs go after this time; None: never."""
    strict_logs: bool
    """Jobs of an unknown service are 404; else an empty list."""
    delete_forbidden: bool
    """Deleting a job of an unknown service is 403; else 404."""

    keeps_token: bool
    """A PUT keeps the service's token; else it makes a new one."""
    put_orphans: bool
    """A PUT without owner on a restricted service with buckets fails halfway: the owner is gone,
    and so is the right to remove the buckets."""
    webhook_follows: bool
    """A PUT gives the storage the new token; else only if the service gets a new bucket, and
    uploads to the others are refused from then on."""
    known_before_auth: bool
    """POST /job to an unknown service is 404 whoever asks; else 401."""
    delegated_name: bool
    """X-Delegated-Job-ID names the job."""
    service_env: bool
    """Jobs have OSCAR_SERVICE_NAME, OSCAR_SERVICE_TOKEN and OSCAR_SERVICE_BASE_PATH."""
    owner_is_root: bool
    """A job on its owner's behalf mounts the storage's root keys; else the secret named after the
    owner, which the admin does not have: the pod never starts."""

    mount_always_succeeds: bool
    """The shell of a job with a mount ends with 0 whatever happened; else with an error."""
    mount_lag_s: float
    """How often the sidecar looks whether the job has ended: the pod runs until it knows."""
    bare_mount_provider: bool
    """`minio` means `minio.default` in a mount; else every POST /job panics."""
    makes_mount_bucket: bool
    keeps_mounted_buckets: bool
    """Deleting a service spares the buckets that others mount."""

    taken_name_status: int
    """For a service whose name exists."""
    own_buckets_only: bool
    """An input or output bucket that exists already makes creation fail."""
    flat_path: FlatPath
    list_ports: bool
    """`expose.api_port` and `expose.nodePort` are lists; else numbers."""
    user_labels: bool
    """Services have labels that name their user, one of which a PUT drops."""
    newlines: bool
    """A script's CRLF become LF."""
    checks_names: bool
    """Reading a service whose name cannot be a label is 400; else 404."""

    absent_keys: frozenset[str]
    """Keys of a definition that this release does not know yet, or no longer."""
    absent_config: frozenset[str]
    """Keys of /system/config that this release does not have yet."""
    absent_routes: frozenset[str]
    """Routes that this release does not have yet."""


V35 = Profile(
    name="v3.5",
    version="3.5.3",
    status_shape="B",
    status_kills=True,
    paged=False,
    podless="",
    post_calls=4,
    pod_calls_per_job=0,
    job_ttl_s=None,
    strict_logs=False,
    delete_forbidden=False,
    keeps_token=False,
    put_orphans=False,
    webhook_follows=True,
    known_before_auth=True,
    delegated_name=False,
    service_env=False,
    owner_is_root=False,
    mount_always_succeeds=True,
    mount_lag_s=5.0,
    bare_mount_provider=False,
    makes_mount_bucket=False,
    keeps_mounted_buckets=False,
    taken_name_status=409,
    own_buckets_only=False,
    flat_path=FlatPath.UNNOTIFIED,
    list_ports=False,
    user_labels=False,
    newlines=False,
    checks_names=False,
    absent_keys=frozenset(
        ("ephemeral_storage_request", "namespace", "visibility", "isolation_level", "bucket_list")
    )
    | {"volume_status", "mount.options"},
    absent_config=frozenset(("controller_service_account", "kueue_enable", "volume_enable"))
    | {"minio_quota_enabled", "allowed_image_repositories"},
    absent_routes=frozenset(("/system/quotas/user", "/system/services/{service}/auth")),
)

V37 = Profile(
    name="v3.7",
    version="3.7.1",
    status_shape="E",
    status_kills=False,
    paged=True,
    podless="Suspended",
    post_calls=4,
    pod_calls_per_job=1,
    job_ttl_s=TTL_S,
    strict_logs=True,
    delete_forbidden=False,
    keeps_token=False,
    put_orphans=False,
    webhook_follows=False,
    known_before_auth=True,
    delegated_name=False,
    service_env=False,
    owner_is_root=True,
    mount_always_succeeds=True,
    mount_lag_s=5.0,
    bare_mount_provider=True,
    makes_mount_bucket=True,
    keeps_mounted_buckets=True,
    taken_name_status=409,
    own_buckets_only=True,
    flat_path=FlatPath.PANIC,
    list_ports=False,
    user_labels=False,
    newlines=True,
    checks_names=False,
    absent_keys=frozenset(("ephemeral_storage_request", "volume_status", "mount.options")),
    absent_config=frozenset(("volume_enable", "minio_quota_enabled", "allowed_image_repositories")),
    absent_routes=frozenset(("/system/services/{service}/auth",)),
)

V41 = Profile(
    name="v4.1",
    version="4.1.2",
    status_shape="F",
    status_kills=False,
    paged=True,
    podless="Suspended",
    post_calls=2,
    pod_calls_per_job=1,
    job_ttl_s=TTL_S,
    strict_logs=True,
    delete_forbidden=True,
    keeps_token=True,
    put_orphans=True,
    webhook_follows=False,
    known_before_auth=False,
    delegated_name=True,
    service_env=True,
    owner_is_root=True,
    mount_always_succeeds=False,
    mount_lag_s=0.0,
    bare_mount_provider=True,
    makes_mount_bucket=True,
    keeps_mounted_buckets=True,
    taken_name_status=400,
    own_buckets_only=True,
    flat_path=FlatPath.PREFIXED,
    list_ports=True,
    user_labels=True,
    newlines=True,
    checks_names=True,
    absent_keys=frozenset(("delegation", "rescheduler_threshold")),
    absent_config=frozenset(),
    absent_routes=frozenset(),
)

PROFILES = {profile.name: profile for profile in (V35, V37, V41)}
NEWEST = V41
