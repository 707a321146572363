# SPDX-License-Identifier: Apache-2.0
"""Makes a `Config` of config.json (or YAML), the environment and OSCAR's mounted files.

All problems of a file are reported together, each with its key (`plan.headroom: …`). The keys of
the first oscar-batch tool keep their spelling. `credentials` decides which credential is used
for which address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..model.access import ClusterAccess, StorageAccess
from ..model.cluster import CapacityRules
from ..model.errors import ConfigError, hide_secrets
from ..model.planning import ChunkRules, Cost, Strategy
from ..model.run import RunRules, Setting
from ..model.selection import Manifest, Outputs, Rules, Selection
from ..model.service import Folder, Locations, Mode, normalize_prefix
from .checks import describe_kind
from .credentials import Platform
from .document import decode_document
from .schema import ConfigReader


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a run is asked to do. Credentials are left out of its `repr`."""

    storage: StorageAccess
    cluster: ClusterAccess
    service: str
    locations: Locations
    selection: Selection
    mode: Mode = Mode.AUTO
    payload: str = ""
    """A template for the bodies of invocations in range mode; empty for our own form."""
    capacity_rules: CapacityRules = field(default_factory=CapacityRules)
    chunk_rules: ChunkRules = field(default_factory=ChunkRules)
    cost: Cost = field(default_factory=Cost)
    """The times that the config gives."""
    rules: RunRules = field(default_factory=RunRules)
    verify: Outputs | None = None
    """Where the output of an item is, which proves that the item is done."""
    dry_run: bool = False
    run_id: str = ""
    """The run to continue, or the id of a new run (`submit`); empty: a new id is made."""
    redrive: bool = False
    """Whether a new run processes what failed or is pending in the run `run_id`."""
    canary: int = 0
    """The number of items that are run first; their times are used to plan the rest."""
    must_prove: bool = False
    """Whether the run must be able to prove its items done, because it is a canary."""
    canary_run: str = ""
    """The run of the canary: the items that it did are left out."""
    second: bool = False
    """Whether a run may start beside an unfinished one of the same config (`run.new`)."""
    allowed_buckets: tuple[str, ...] | None = None
    """The globs of the deployer for buckets; None if the credentials for them are the user's."""
    settings: tuple[Setting, ...] = field(default=(), repr=False, compare=False)
    """All settings, for people; without credentials."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message, log or report may show."""
        return (self.storage.secret_key, *self.cluster.secrets)

    def describe(self) -> dict[str, str]:
        """The main settings, for people; without credentials."""
        return {
            "service": self.service,
            "cluster": self.cluster.url,
            "storage": self.storage.url,
            "data": str(self.locations.data),
            "state": str(self.locations.state),
            "headroom": f"{self.capacity_rules.headroom:.0%}",
        }


def load_config(
    text: bytes,
    platform: Platform,
    find_template_problems: Callable[[str], list[str]] = lambda template: [],
) -> Config:
    """The config of a file's content. Raises ConfigError with all problems found.

    `find_template_problems` checks `service.payload`; it belongs to another package.
    """
    raw = decode_config(text)
    reader = ConfigReader(raw, required=not _names_run_alone(raw))
    values = reader.values
    locations = _read_locations(values, platform)
    storage, problems = platform.choose_storage(values)
    reader.problems += problems
    cluster, problems = platform.choose_cluster(values)
    reader.problems += [*problems, *_find_folder_problems(locations)]
    chunk_rules, cost, problems = read_planning(values)
    reader.problems += problems
    reader.problems += find_template_problems(values["service.payload"])
    if reader.problems or storage is None or cluster is None:
        known = {*reader.secrets, *platform.secrets}
        raise ConfigError(hide_secrets(each, known) for each in reader.problems)
    return Config(
        storage=storage,
        cluster=cluster,
        service=values["service.name"],
        locations=locations,
        selection=_read_selection(values, locations.data.prefix),
        mode=values["service.mode"],
        payload=values["service.payload"],
        capacity_rules=_read_capacity_rules(values),
        chunk_rules=chunk_rules,
        cost=cost,
        rules=_read_run_rules(values),
        verify=_read_outputs(values, "run.verify", locations.data.prefix),
        **_read_run_choice(values),
        allowed_buckets=None if values["MinIO.access_key"] else platform.allowed_buckets,
        settings=reader.list_settings(),
    )


def _names_run_alone(raw: Mapping[str, Any]) -> bool:
    """Whether a config names only a run and its state folder; the plan of the run has the rest.

    Workers drop such a config if no coordinator is alive.
    """
    named = {section: set(raw[section]) for section in raw if isinstance(raw[section], dict)}
    return raw.keys() == {"state", "run"} == named.keys() and named["run"] == {"id"}


def _read_locations(values: Mapping[str, Any], platform: Platform) -> Locations:
    data = Folder(values["bucket.name"] or "", normalize_prefix(values["bucket.folder_prefix"]))

    def read_folder(section: str) -> Folder:
        bucket = values[f"{section}.bucket"] or data.bucket
        return Folder(bucket, normalize_prefix(values[f"{section}.prefix"]))

    return Locations(
        data=data,
        state=read_folder("state"),
        report=read_folder("report") if _is_given(values, "report") else None,
        index_copy=data.prefix + values["output.file"] if values["output.file"] else None,
        own_inputs=platform.own_inputs,
        own_outputs=platform.own_outputs,
    )


def _read_capacity_rules(values: Mapping[str, Any]) -> CapacityRules:
    return CapacityRules(
        headroom=values["plan.headroom"],
        max_parallel=values["plan.max_parallel"],
        extra_slots=values["plan.extra_slots"],
    )


def _read_run_choice(values: Mapping[str, Any]) -> dict[str, Any]:
    """Which run the config is for."""
    renamed = {"run_id": "id", "second": "new"}
    names = ("dry_run", "run_id", "redrive", "canary", "second")
    return {name: values[f"run.{renamed.get(name, name)}"] for name in names}


def _read_run_rules(values: Mapping[str, Any]) -> RunRules:
    return RunRules(**{spec.name: values[f"run.{spec.name}"] for spec in fields(RunRules)})


def _read_selection(values: Mapping[str, Any], prefix: str) -> Selection:
    key, column = values["bucket.manifest"], values["bucket.manifest_column"]
    filters = [spec.name for spec in fields(Rules) if spec.name != "prefix"]
    return Selection(
        rules=Rules(prefix, **{name: values[f"bucket.{name}"] for name in filters}),
        recursive=values["bucket.recursive"],
        manifest=Manifest(key, column) if key else None,
        skip_done=_read_outputs(values, "bucket.skip_done", prefix),
    )


def _read_outputs(values: Mapping[str, Any], section: str, folder: str) -> Outputs | None:
    if not values[section]:
        return None
    asked = {name: values[f"{section}.{name}"] for name in ("strip", "suffix", "bucket")}
    prefix = normalize_prefix(values[f"{section}.prefix"])
    return Outputs(folder, prefix, **asked, of_service=not (prefix or asked["bucket"]))


def _is_given(values: Mapping[str, Any], section: str) -> bool:
    return any(value for path, value in values.items() if path.startswith(f"{section}."))


def _find_folder_problems(locations: Locations) -> list[str]:
    """Files of runs are no items, so no item would be found in a data folder below a run folder."""
    data, state, report = locations.data, locations.state, locations.report
    problems = []
    if not state.prefix:
        problems.append("state.prefix: must name a folder of its own, such as .oscar-batch/")
    elif state.holds(data.bucket, data.prefix):
        problems.append(f"state.prefix: {state} must not hold the data folder {data}")
    # Reports without a folder of their own mix with the items only if those have none either.
    beside = report is None or (not report.prefix and data.prefix)
    if report and not beside and report.holds(data.bucket, data.prefix):
        problems.append(f"report.prefix: {report} must not hold the data folder {data}")
    return problems


def read_planning(
    values: Mapping[str, Any], *, source: str = "the config"
) -> tuple[ChunkRules, Cost, list[str]]:
    """The rules for chunks, the times that are given, and the problems with both."""
    rules = ChunkRules(
        strategy=values["plan.strategy"],
        chunk_items=values["plan.chunk_items"],
        chunk_bytes=values["plan.chunk_bytes"],
        min_chunk_items=values["plan.min_chunk_items"],
    )
    startup_s, each = values["plan.startup_s"], values["plan.seconds_per_item"]
    per_mb = values["plan.seconds_per_mb"]
    given = bool(values["plan.speeds"]) or (startup_s, each, per_mb) != (None, None, None)
    cost = Cost(
        startup_s=startup_s,
        seconds_per_item=each or 0.0,
        seconds_per_byte=(per_mb or 0.0) / 1e6,  # a megabyte is 10^6 bytes
        speeds=values["plan.speeds"],
        source=source if given else "nothing",
    )
    return rules, cost, _find_chunk_problems(rules)


def _find_chunk_problems(rules: ChunkRules) -> list[str]:
    if rules.strategy is Strategy.FIXED and not rules.fixed:
        return ["plan.strategy: fixed needs plan.chunk_items or plan.chunk_bytes"]
    if rules.fixed and rules.strategy not in {Strategy.FIXED, Strategy.AUTO}:
        return [
            f"plan.strategy: {rules.strategy} chooses the size of its chunks; remove chunk_items "
            "and chunk_bytes"
        ]
    return []


def decode_config(text: bytes) -> Mapping[str, Any]:
    """The object in a config file, JSON or YAML. Raises ConfigError."""
    raw = decode_document(text)
    if raw is None:
        raise ConfigError(["the file is empty: it must be an object with at least bucket, service"])
    if not isinstance(raw, dict):
        raise ConfigError([f"the file must hold an object with sections, not {describe_kind(raw)}"])
    return raw
