# SPDX-License-Identifier: Apache-2.0
"""A local OSCAR for laptops, tests and CI: ``python -m sandbox up|down|status``.

It plays everything around a service's container: the S3 server with its notifications, the OSCAR
manager with its API, the scheduler with its nodes, and the pod with supervisor, secrets and mount.
It is not part of the shipped image. In the order in which a request travels:

    __main__    argv                            -> up, down, status
    up          options                         -> a running sandbox, until a signal
    state       the state directory             -> claimed, announced, cleaned
    backend     seaweedfs, minio or s3=URL      -> a storage and its notifier
    storage     an S3 endpoint                  -> its buckets
    seaweedfs   `weed mini`                     -> an S3 server
    minio_server  `minio server`                -> an S3 server, its own webhooks to /job/<service>
    events      the filer's webhook             -> MinIO-shaped events -> POST /job/<service>
    api         HTTP                            -> services, the state of the cluster
    joblogs     HTTP                            -> jobs, their lists and logs
    chaos       HTTP below /_sandbox/           -> what clusters do to jobs and requests
    redirect    a slash too many                -> the path without it
    auth        an Authorization header         -> allowed, or the refusal OSCAR gives
    faults      a request                       -> the fault that was asked for it
    budget      a request                       -> waiting for its Kubernetes calls
    profiles    v3.5, v3.7, v4.1                -> which release does what (the one table)
    definition  a service's JSON                -> what OSCAR stores and answers (pure)
    services    definitions                     -> buckets, folder markers, triggers
    submission  POST /job                       -> a job, or the refusal (pure)
    job         an invocation                   -> what Kubernetes keeps of it (pure)
    listing     jobs                            -> the pages of /system/logs (pure)
    status      nodes and jobs                  -> /system/status in its six shapes (pure)
    cluster     `2x4:8Gi`, requests             -> nodes, free room, the node that fits (pure)
    nodes       declarations, chaos             -> the nodes that there are now
    jobs        submitted jobs                  -> queued, bound, running, ended
    throttle    a job on a slow node            -> stopped for a share of the time
    pod         a bound job                     -> its files, environment and process
    namespace   what a container sees           -> a bwrap command line (pure)
    reaper      a killed sandbox                -> its orphaned jobs, killed too

    handle      `python -m sandbox up`          -> an object for tests and demos; a client

and inside the job, each a program of its own that imports nothing from here:

    supervisor  stdin and /oscar/config         -> input files, the user's script, uploads
    mount       settings on stdin               -> rclone beside the container, as OSCAR's sidecar
    fusermount  the fusermount protocol         -> mount(2), since fusermount3 is not everywhere
"""
