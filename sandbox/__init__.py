# SPDX-License-Identifier: Apache-2.0
"""A local OSCAR for laptops, tests and CI: `python -m sandbox`.

It plays everything around a service's container: the S3 server with its notifications, the OSCAR
manager with its API, the scheduler with its nodes, and the pod with supervisor, secrets and mount.
It is not part of the shipped image. `up` connects the parts; a package imports only packages
below it: `api`, `jobs`, `services`, `storage`, `cluster`, `process`.
"""
