#!/usr/bin/env python3
"""Checks the licences and sources of all crates of a workspace against deny.toml, where cargo-deny is not there."""

import json
import re
import subprocess
import sys
import tomllib

manifest = sys.argv[1] if len(sys.argv) > 1 else "Cargo.toml"
with open("deny.toml", "rb") as file:
    rules = tomllib.load(file)
allowed = set(rules["licenses"]["allow"])
denied = {crate["name"] for crate in rules["bans"]["deny"]}


def holds(expression):
    """Whether an SPDX expression can be met with what is allowed; a slash is the old way to write OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        found = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            found = both() or found
        return found

    def both():
        found = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            found = one() and found
        return found

    def one():
        token = tokens.pop(0)
        if token == "(":
            found = either()
            tokens.pop(0)
            return found
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token += " WITH " + tokens.pop(0)
        return token in allowed

    return either()


command = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", manifest]
packages = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["packages"]
faults = []
for package in packages:
    name, source = f"{package['name']} {package['version']}", package["source"]
    if source and not source.startswith("registry+"):
        faults.append(f"{name} comes from {source}")
    if package["name"] in denied:
        faults.append(f"{name} is denied")
    if not holds(package["license"] or "none"):
        faults.append(f"{name} is under {package['license']}")
print(f"{manifest}: {len(packages)} crates, {len(faults)} faults")
sys.exit("\n".join(faults) or 0)
