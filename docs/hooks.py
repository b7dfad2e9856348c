"""What the site is made of beside the Markdown that lies here: generated pages, the results' own pages, and MathML."""

from __future__ import annotations

import importlib
import json
import logging
import re
import sys
from html import escape, unescape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import source
from generated import PAGES, RESULTS
from mathml import BadMath, mathml, parts

log = logging.getLogger("mkdocs.hooks.nir_interop")

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_MODULE = re.compile(r"^<!-- module: ([\w.]+) -->$", re.MULTILINE)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
_WORKER = """if (location.protocol === "file:") {
  const source = SOURCE;
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.Worker = class extends Worker { constructor() { super(address); } };
}
"""
_SHOWN = (".png", ".svg")
_SUMMARIES = ("report.md", "primitives.md")


def on_config(config: Any) -> Any:
    """Put the studies that there are into the navigation."""
    results = next(section["Results"] for section in config.nav if "Results" in section)
    results.append({"Studies": ["results/index.md", *({study.name: f"results/{study.name}/README.md"} for study in studies())]})
    return config


def studies() -> list[Path]:
    """The folders of results/ that a study wrote; those of small versions aside."""
    return sorted(path.parent for path in RESULTS.glob("*/README.md") if not path.parent.name.endswith("-quick"))


def on_files(files: Files, *, config: Any) -> Files:
    """Add the generated pages, and the results that are meant to be read, under the addresses they have in the repository."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    files.append(File.generated(config, "results/index.md", content=_list_of_studies()))
    shown = [RESULTS / name for name in (*_SUMMARIES, "report.svg")]
    for study in studies():
        shown += [study / "README.md", *(path for path in sorted(study.iterdir()) if path.suffix in _SHOWN)]
    for each in shown:
        address = each.relative_to(RESULTS.parent).as_posix()
        if each.suffix == ".md":
            files.append(File.generated(config, address, content=each.read_text(encoding="utf-8")))
        else:
            files.append(File.generated(config, address, abs_src_path=str(each)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Modules that a page names in a comment, as they stand in the program."""
    return _MODULE.sub(lambda found: source(importlib.import_module(found[1])), markdown)


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Equations as MathML; one that cannot be written stops a strict build."""

    def written(latex: str, *, display: bool) -> str:
        try:
            return mathml(latex, display=display)
        except BadMath as error:
            log.warning("%s: %s", page.file.src_uri, error)
            return escape(latex)

    def block(found: re.Match[str]) -> str:
        shown = "".join(written(part, display=True) for part in parts(unescape(found[1])))
        return f'<div class="equation" tabindex="0">{shown}</div>'

    html = _BLOCK.sub(block, html)
    return _INLINE.sub(lambda found: written(unescape(found[1]), display=False), html)


def on_post_build(*, config: Any) -> None:
    """Let the search work from disk, where a page can neither fetch its index nor start a worker from a file."""
    site = Path(config.site_dir)
    (worker,) = site.glob("assets/javascripts/workers/search.*.js")
    index = site / "search" / "search_index.json"
    index.with_suffix(".js").write_text(f"var __index = {index.read_text(encoding='utf-8')};\n", encoding="utf-8")
    source = json.dumps(worker.read_text(encoding="utf-8"))
    site.joinpath("search", "worker.js").write_text(_WORKER.replace("SOURCE", source, 1), encoding="utf-8")


def _list_of_studies() -> str:
    """What each study asks, and how its own page begins."""
    lines = ["# Studies", "", "Each answers one question, on real data where it needs any, with tables and figures.", ""]
    for folder in studies():
        title, body = folder.joinpath("README.md").read_text(encoding="utf-8")[2:].split("\n\n", 1)
        name, _, says = title.partition(": ")
        question, begins = f"{says[:1].upper()}{says[1:]}" or name, body.partition("\n\n")[0]
        lines += [f"## [{name}]({folder.name}/README.md)", "", f"**{question}.** {begins}", ""]
    return "\n".join(lines)
