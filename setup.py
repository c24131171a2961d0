"""What pyproject.toml cannot say: which packages there are, found in the folders that it names."""

import tomllib
from pathlib import Path

from setuptools import find_packages, setup

project = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8"))
folders = {"nb201env": "nb201env"} | project["tool"]["setuptools"]["package-dir"]

setup(
    packages=[
        name
        for package, folder in folders.items()
        for name in (package, *(f"{package}.{found}" for found in find_packages(folder)))
    ]
)
