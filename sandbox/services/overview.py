# SPDX-License-Identifier: Apache-2.0
"""The page at `/`: nodes, services, jobs and buckets, for people who look at a sandbox.

OSCAR has its web interface there. The page names things and shows no token and no credential.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ..cluster.job_record import Job
from ..cluster.nodes import Nodes
from ..cluster.resources import Resources
from .registry import Service

MOST_JOBS = 200
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width">
<title>OSCAR sandbox</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; margin-bottom: 2rem; }}
caption {{ text-align: left; font-weight: 600; font-size: 1.2rem; }}
th, td {{ text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8886; }}
</style>
<h1>OSCAR sandbox</h1>
<p>It simulates OSCAR {version}. <code>{program} env</code> prints what clients need to reach it,
<code>{program} logs SERVICE</code> the log of a job.</p>
{tables}
</html>
"""


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows."""

    version: str
    nodes: Nodes
    requested: Mapping[str, Resources]
    services: Sequence[Service]
    jobs: Sequence[Job]
    """Of all services."""
    buckets: Mapping[str, int]


def render_overview(shown: Overview, program: str) -> str:
    """The page."""
    newest = sorted(shown.jobs, key=lambda job: job.created_at, reverse=True)[:MOST_JOBS]
    counted = f"Jobs: {len(shown.jobs)}"
    counted += f", the newest {MOST_JOBS} of them" if len(shown.jobs) > MOST_JOBS else ""
    tables = [
        _make_table("Nodes", ("name", "CPU", "memory", "state"), _list_nodes(shown)),
        _make_table(
            f"Services: {len(shown.services)}",
            ("name", "image", "input", "output", "mount", "jobs"),
            _list_services(shown),
        ),
        _make_table(
            counted,
            ("name", "service", "state", "node"),
            [(job.name, job.service, str(job.phase), job.node) for job in newest],
        ),
        _make_table(
            f"Buckets: {len(shown.buckets)}",
            ("name", "objects"),
            [(name, _count(n)) for name, n in sorted(shown.buckets.items())],
        ),
    ]
    return _PAGE.format(
        version=escape(shown.version), program=escape(program), tables="\n".join(tables)
    )


def _list_nodes(shown: Overview) -> Iterable[Sequence[str]]:
    for node in shown.nodes:
        used = shown.requested.get(node.name, Resources())
        state = "lost" if node.lost else "cordoned" if node.cordoned else "ready"
        yield (
            node.name,
            f"{used.cpu_millicores / 1000:g} of {node.capacity.cpu_millicores / 1000:g}",
            f"{used.memory_bytes / 2**30:.1f} of {node.capacity.memory_bytes / 2**30:.1f} GiB",
            state,
        )


def _list_services(shown: Overview) -> Iterable[Sequence[str]]:
    for service in shown.services:
        definition = service.definition
        yield (
            service.name,
            str(definition.get("image") or ""),
            _list_paths(definition.get("input")),
            _list_paths(definition.get("output")),
            service.mount_path,
            str(sum(job.service == service.name for job in shown.jobs)),
        )


def _list_paths(folders: object) -> str:
    entries = folders if isinstance(folders, list) else []
    return ", ".join(str(each.get("path") or "") for each in entries if isinstance(each, dict))


def _count(objects: int) -> str:
    return f"{objects}" if objects < 1000 else "1000 or more"


def _make_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption>\n<tr>{head}</tr>\n{body}</table>"
