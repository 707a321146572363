# SPDX-License-Identifier: Apache-2.0
"""`capacity`: how many invocations fit now, from the cluster or from saved answers of it."""

from __future__ import annotations

import argparse

from ...model.cluster import Capacity, CapacityRules
from ...model.errors import ConfigError, Ending
from ...oscar.client import OscarClient
from ...oscar.definition import parse_quota, parse_service
from ...oscar.status import parse_status
from ...plan.capacity import find_capacity
from ...report.document import write_capacity
from ...report.text import render_capacity
from ..inputs import check_plan_options, read_config, read_json, read_json_object
from ..output import hide_in_log, print_document, print_result


def execute(arguments: argparse.Namespace) -> int:
    """Prints the capacity; the exit code says whether there is any."""
    saved = arguments.status or arguments.service
    capacity = _from_files(arguments) if saved else _from_cluster(arguments)
    if arguments.json:
        print_document(write_capacity(capacity))
    else:
        print_result(render_capacity(capacity))
    return 0 if capacity.slots else Ending.NO_CAPACITY.exit_code


def _from_cluster(arguments: argparse.Namespace) -> Capacity:
    config = read_config(arguments.config)
    if arguments.headroom is not None or arguments.quota:
        raise ConfigError(["--headroom and --quota belong to --status and --service"])
    oscar = OscarClient(config.cluster, secrets=config.secrets)
    service = oscar.read_service(config.service)
    hide_in_log([service.token])
    return find_capacity(service, config.capacity_rules, oscar.read_cluster, oscar.read_quota)


def _from_files(arguments: argparse.Namespace) -> Capacity:
    if not (arguments.status and arguments.service):
        raise ConfigError(["capacity: --status and --service belong together"])
    values = check_plan_options(headroom=arguments.headroom)
    status = read_json(arguments.status)
    service = parse_service(read_json_object(arguments.service))
    quota = parse_quota(read_json_object(arguments.quota)) if arguments.quota else None
    rules = CapacityRules(headroom=values["plan.headroom"])
    return find_capacity(service, rules, lambda: parse_status(status), lambda _: quota)
