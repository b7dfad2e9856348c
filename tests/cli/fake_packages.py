"""Packages made without any tool: wheels for pip where there is no index, and backends that entry points name."""

from __future__ import annotations

import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def wheel(folder: Path, version: str, source: str, requires: str = "", name: str = "fakelib") -> Path:
    """A wheel of one module, made without any tool."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": METADATA.format(name=name, version=version) + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
            digest = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{inside},sha256={digest},{len(text.encode())}\n"
        archive.writestr(f"{about}/RECORD", f"{record}{about}/RECORD,,\n")
    return path


def backends_in(site: Path, adapters: Mapping[str, str], extras: str = "") -> Path:
    """Have entry points name backends, once ``site`` is on the path; adapters: name → what the entry point says.

    The package ``fake_adapters`` in it holds ``fakes``, those of the tests of the matrix.
    """
    package, about = site / "fake_adapters", site / "nir_interop_fakes-1.0.dist-info"
    package.mkdir(parents=True)
    about.mkdir()
    (package / "__init__.py").write_text("")
    (package / "fakes.py").symlink_to(Path(__file__).resolve().parents[1] / "matrix" / "fakes.py")
    (about / "METADATA").write_text(METADATA.format(name="nir-interop-fakes", version="1.0") + extras)
    lines = "".join(f"{name} = {adapter}\n" for name, adapter in adapters.items())
    (about / "entry_points.txt").write_text(f"[nir_interop.adapters]\n{lines}")
    return package
