# SPDX-License-Identifier: Apache-2.0
"""`python -m hub FOLDER`: writes the entries for OSCAR Hub, a folder each, as RO-Crates.

An entry is the definition of a service with its script, a README, an icon and metadata. All but
the metadata and the icon are the files that the repository deploys and documents itself.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "https://github.com/grycap/oscar-batch"
OSCAR = "https://github.com/grycap/oscar"
FILES = {
    "fdl.yml": ("OSCAR service definition", ["File", "SoftwareSourceCode"], "text/yaml"),
    "script.sh": ("OSCAR service script", ["File", "SoftwareSourceCode"], "text/x-shellscript"),
    "README.md": ("How to use it", ["File", "TextDigitalDocument"], "text/markdown"),
    "icon.png": ("Icon", ["File", "ImageObject"], "image/png"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One service of the hub."""

    name: str
    title: str
    about: str
    definition: Path
    readme: Path


ENTRIES = (
    Entry(
        "oscar-batch",
        "OSCAR-Batch",
        "A coordinator for backlogs of files. Drop a config.json into its bucket, and it lists the "
        "data bucket, works out how many invocations of a service fit into the cluster, gives the "
        "files to them, follows the work to its end and leaves a report on every file.",
        ROOT / "fdl" / "coordinator.yaml",
        ROOT / "hub" / "README.md",
    ),
    Entry(
        "grayify",
        "grayify, an example for OSCAR-Batch",
        "Turns photographs into upright grey thumbnails: a function of Python with the worker kit "
        "of OSCAR-Batch, which gives it file after file and accounts for each.",
        ROOT / "examples" / "grayify" / "grayify.yaml",
        ROOT / "examples" / "grayify" / "README.md",
    ),
)


def write_entry(entry: Entry, folder: Path) -> None:
    """Writes the files of an entry."""
    folder.mkdir(parents=True, exist_ok=True)
    text = entry.definition.read_text("utf-8").replace("../script.sh", "script.sh")
    (folder / "fdl.yml").write_text(text, "utf-8")
    (folder / "script.sh").write_text(make_script(entry), "utf-8")
    shutil.copy(entry.readme, folder / "README.md")
    shutil.copy(ROOT / "hub" / "icon.png", folder / "icon.png")
    graph = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": make_graph(entry, text)}
    (folder / "ro-crate-metadata.json").write_text(json.dumps(graph, indent=2) + "\n", "utf-8")


def make_script(entry: Entry) -> str:
    """The coordinator's own script; for an example, what the kit writes."""
    if entry.name == "oscar-batch":
        return (ROOT / "script.sh").read_text("utf-8")
    program = f"/opt/{entry.name}/{entry.name}.py"
    command = [sys.executable, "-m", "coordinator", "kit", "--module", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def make_graph(entry: Entry, definition: str) -> list[dict[str, Any]]:
    """The metadata: the service with what it needs, and its files."""
    ((service,),) = (each.values() for each in yaml.safe_load(definition)["functions"]["oscar"])
    root = {
        "@id": "./",
        "@type": ["Dataset", "SoftwareApplication"],
        "name": entry.title,
        "description": entry.about,
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": {"@id": "https://www.apache.org/licenses/LICENSE-2.0"},
        "version": read_version(),
        "url": SOURCE,
        "applicationCategory": "OSCAR Service",
        "memoryRequirements": str(service["memory"]),
        "processorRequirements": [f"{service['cpu']} vCPU", "0 GPU"],
        "serviceType": "asynchronous",
        "isBasedOn": {"@id": OSCAR},
        "author": {"@id": "#developers"},
        "hasPart": [{"@id": name} for name in FILES],
    }
    return [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        root,
        *(
            {"@id": name, "@type": kinds, "name": about, "encodingFormat": encoding}
            for name, (about, kinds, encoding) in FILES.items()
        ),
        {"@id": OSCAR, "@type": "SoftwareApplication", "name": "OSCAR", "url": OSCAR},
        {"@id": "#developers", "@type": "Organization", "name": "OSCAR-Batch", "url": SOURCE},
        {
            "@id": "https://www.apache.org/licenses/LICENSE-2.0",
            "@type": "CreativeWork",
            "name": "Apache License 2.0",
            "description": "https://spdx.org/licenses/Apache-2.0",
        },
    ]


def read_version() -> str:
    text = (ROOT / "coordinator" / "__init__.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def main() -> None:
    """Writes all entries below a folder."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "build/hub")
    for entry in ENTRIES:
        write_entry(entry, target / entry.name)
        print(f"hub: {target / entry.name}")


if __name__ == "__main__":
    main()
