# SPDX-License-Identifier: Apache-2.0
"""Builds the second wheel: the folder `sandbox` becomes the package `oscar_batch_sandbox`."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
NAME = "oscar_batch_sandbox"


def read_version() -> str:
    """The version of the repository, which is in one place."""
    text = (HERE.parent / "coordinator" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("coordinator/__init__.py has no __version__")
    return found[1]


class BuildWithoutSetup(build_py):
    """This file is no part of the package, though it lies in its folder."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if module[1] != "setup"]


setup(
    cmdclass={"build_py": BuildWithoutSetup},
    version=read_version(),
    package_dir={NAME: "."},
    packages=[NAME, *(f"{NAME}.{name}" for name in find_packages("."))],
)
