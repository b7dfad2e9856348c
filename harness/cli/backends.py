"""``nir-interop backends``: what is installed, without importing any of it."""

from __future__ import annotations

import typer

from harness.cli.options import Json, print_json


def backends(json: Json = False) -> None:
    """List the backends, their versions and whether they are installed."""
    from harness.environments import backends as find

    found = find()
    if json:
        print_json(
            {"backends": [{"name": each.name, "installed": each.installed, "versions": each.versions} for each in found]}
        )
        return
    width = max(len(each.name) for each in found)
    for each in found:
        versions = ", ".join(f"{name} {version}" for name, version in each.versions.items())
        typer.echo(f"{each.name:<{width}}  {versions if each.installed else 'not installed'}")
