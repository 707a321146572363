# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel: the folder `coordinator` becomes the package `oscar_batch`.

Nothing else gets a name of its own among the installed packages: what the program reads beside its
modules lies inside the package, at the same paths as in the repository.
"""

import re
import tomllib
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
SHIPPED = ("script.sh", "fdl/*.yaml", "docs/*.schema.json", "worker/oscar_batch*")


def read_description() -> str:
    """README.md with links that work on PyPI, where its neighbours are not."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
    source = project["urls"]["Source"]
    raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")
    text = (HERE / "README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^\]]*\]\()(?!https:)", rf"\g<1>{raw}/main/", text)
    return re.sub(r"(\]\()(?!https:|#)", rf"\g<1>{source}/blob/main/", text)


class BuildWithFiles(build_py):
    """Copies these files too; an editable installation reads them in the repository."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for path in (path for pattern in SHIPPED for path in sorted(HERE.glob(pattern))):
            target = Path(self.build_lib, "oscar_batch", path.relative_to(HERE))
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(path), str(target))


setup(
    long_description=read_description(),
    long_description_content_type="text/markdown",
    cmdclass={"build_py": BuildWithFiles},
    package_dir={"oscar_batch": "coordinator"},
    packages=["oscar_batch", *(f"oscar_batch.{name}" for name in find_packages("coordinator"))],
    package_data={"oscar_batch": ["py.typed"], "oscar_batch.report": ["templates/*"]},
)
