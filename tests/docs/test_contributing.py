"""What CONTRIBUTING.md names is there, the hooks are what ``make lint`` runs, and the citation is of this version."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from tests.places import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = ROOT / "harness" / "nir_interop"


def named() -> set[str]:
    """Paths of this checkout that stand in backquotes, in commands and in links."""
    words = {word for span in re.findall(r"`([^`\n]+)`", TEXT) for word in span.split()}
    links = set(re.findall(r"\]\(([^)#:]+)\)", TEXT))
    tops = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - {"bench"}
    return links | {word for word in words if word.split("/")[0] in tops and "NAME" not in word}


@pytest.mark.parametrize("path", sorted(named()))
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"`make ([a-z-]+)`", TEXT)) | set(re.findall(r"^make (\S+)", TEXT, re.M)))
)
def test_a_command_that_is_named_is_a_target(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.M)


def test_the_layers_are_those_of_the_product() -> None:
    layers = re.findall(r"^\d+\. .*(?:\n   .*)*", TEXT, re.M)
    named = {name for line in layers for name in re.findall(r"`([a-z_]+(?:\.py)?)`", line)}
    assert len(layers) == 10
    assert all((SOURCES / name).exists() for name in named), sorted(name for name in named if not (SOURCES / name).exists())
    packages = {path.parent.name for path in SOURCES.glob("*/__init__.py")}
    assert packages <= named, sorted(packages - named)


def test_names_of_the_code_that_are_spoken_of_are_in_it() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for path in (*ROOT.glob("*/nir_interop*/**/*.py"), *ROOT.glob("tests/*/*.py"))
    )
    for name in ("class Pass", "class Refused", "class Cause", "class Adapter", "def proven", "def refused", "STUDY"):
        assert re.search(rf"\b{name}\b", code), name


def test_the_hooks_are_what_make_lint_runs() -> None:
    (group,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert recipe is not None
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert [hook["entry"] for hook in group["hooks"]] == commands
    assert {hook["language"] for hook in group["hooks"]} == {"system"}


def test_the_citation_is_of_this_version_and_of_the_papers_article() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    (paper,) = citation["references"]
    assert (paper["doi"], paper["volume"], paper["start"], paper["year"]) == ("10.1038/s41467-024-52259-9", 15, 8122, 2024)
    assert len(paper["authors"]) == 15
    assert all({"family-names", "given-names"} == set(author) for author in paper["authors"])
