"""The locks hold what pyproject.toml asks for, every file by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DEV = PROJECT["optional-dependencies"]["dev"]


def _locked(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each package."""
    found = {}
    for block in re.split(r"\n(?=\S)", (ROOT / name).read_text("utf-8")):
        if block.startswith("#"):
            continue
        package = re.match(r"(\S+)==(\S+)", block)
        assert package, block
        found[canonicalize_name(package[1])] = (package[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)))
    return found


@pytest.mark.parametrize(
    ("lock", "asked"),
    [("requirements.lock", PROJECT["dependencies"]), ("requirements-dev.lock", PROJECT["dependencies"] + DEV)],
)
def test_a_lock_holds_every_dependency_by_hash(lock: str, asked: list[str]) -> None:
    locked = _locked(lock)
    for requirement in map(Requirement, asked):
        version, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement
    assert not [name for name, (_, hashes) in locked.items() if hashes == 0]


def test_tests_run_with_the_versions_that_users_get() -> None:
    users, tested = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert {name: tested[name][0] for name in users} == {name: version for name, (version, _) in users.items()}
