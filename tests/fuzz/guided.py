"""Mutations that follow the branches they reach, where atheris is installed; nothing else needs it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz import seeds

_KINDS = ("nir", "npz", "csv", "toml")


def guided(runs: int, seed: int, kept: Path) -> int:
    """Run libFuzzer on the reader of NIR files, from the same sound files; it keeps what goes wrong itself."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris, or leave --guided out", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["nir_interop"]):
        from tests.fuzz.targets import SHORT, feed
    folder = Path(tempfile.mkdtemp())
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds.graph_files(folder)):
        (corpus / f"{number}.nir").write_bytes(content)
    kept.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        path = folder / "tried.nir"
        path.write_bytes(data)
        feed("nir", path, SHORT)

    limits = ["-timeout=20", "-rss_limit_mb=2048", f"-runs={runs}"]
    arguments = [*limits, f"-seed={seed}", f"-artifact_prefix={kept}/", str(corpus)]
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()
    return 0
