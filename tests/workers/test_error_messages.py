"""Messages are the same from run to run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.errors import CannotBuild, ReadFailed
from nir_interop.vocabulary import Stage
from nir_interop.workers.capture import KEPT, Capture, guarded
from nir_interop.workers.error_messages import LONGEST, describe, import_failure, is_ours, one_line, own_failure
from tests.matrix import fakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<Foo object at 0x7f12ab34cd56> failed", "<Foo object at 0x> failed"),
        ("cannot open '/var/tmp/x1/graph file.nir'", "cannot open 'graph file.nir'"),
        ("File /usr/lib/python3/site-packages/nir/ir/graph.py:12", "File graph.py:12"),
        ("no such name: tmpab12cd_x", "no such name: tmp"),
        ("expected one of {'c', 'a', 'b'}", "expected one of {'a', 'b', 'c'}"),
        ("got {'b': 1, 'a': 2}", "got {'a': 2, 'b': 1}"),
        ("unknown {Linear, Affine}", "unknown {Affine, Linear}"),
        ("two\n  lines\tand\x00more", "two lines and more"),
        ("ratio 1/2 and a/b", "ratio 1/2 and a/b"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("not UTF-8: \udcff", "not UTF-8: \\udcff"),
        ("{unclosed", "{unclosed"),
    ],
)
def test_what_changes_from_run_to_run_is_taken_out(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_a_long_message_is_cut() -> None:
    assert len(one_line("x" * 10_000)) == LONGEST


def test_the_readers_own_error_stands_for_a_refused_file() -> None:
    try:
        try:
            raise KeyError("nodes")
        except KeyError as cause:
            raise ReadFailed("graph.nir: cannot be read") from cause
    except ReadFailed as error:
        told = describe(error)
    assert (told["error_type"], told["error_message"]) == ("KeyError", "'nodes'")


def test_the_place_is_in_the_library_and_not_beneath_it() -> None:
    import nir

    with pytest.raises(Exception) as caught:
        nir.Affine(weight=np.array("x"), bias=None)
    assert describe(caught.value)["error_at"].startswith("nir/ir/")


def raised(code: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:
        code()
    return caught.value


def test_a_failure_of_our_own_is_told_from_a_librarys() -> None:
    import nir
    import torch

    from nir_interop_adapters.torch_support import record

    def tuples() -> object:
        return record(lambda frame: (frame, frame), np.zeros((2, 1, 3)), {}, lambda module, output: (None, None))  # type: ignore[arg-type,return-value]

    model, code = torch.nn.Linear(3, 2), "def forward(x):\n    return x @ 'a'\n"
    ours, inside = raised(tuples), raised(lambda: record(model, np.zeros((2, 1, 4)), {}, lambda module, output: (None, None)))
    assert is_ours(ours)
    told = own_failure(ours)
    assert told["error_type"] == "OwnFailure"
    assert told["error_message"].startswith(
        "nir-interop's own failure, not the library's: AttributeError: 'tuple' object has no attribute 'detach'"
    )
    assert told["error_at"].startswith("nir_interop_adapters/torch_support.py:")
    assert not is_ours(inside)
    assert not is_ours(raised(lambda: nir.Affine(weight=np.array("x"), bias=None)))
    assert not is_ours(raised(lambda: run(code)))
    assert not is_ours(CannotBuild("no words"))


def run(code: str) -> object:
    """What torch.fx does with code that it wrote."""
    names: dict[str, Any] = {}
    exec(compile(code, "<eval_with_key>.0", "exec"), names)
    return names["forward"](np.zeros(2))


def test_what_nirs_reader_raises_by_itself_is_no_importers(tmp_path: Path) -> None:
    import nir

    path = tmp_path / "graph.nir"
    path.write_bytes(b"no HDF5")
    read = raised(lambda: nir.read(path))
    assert import_failure(fakes.Honest(), read, Stage.IMPORT, {}, path).status == "read_error"
    assert import_failure(fakes.Honest(), KeyError("lif"), Stage.IMPORT, {}, path).status == "import_error"


def test_what_an_adapter_says_itself_has_no_place() -> None:
    assert describe(CannotBuild("no words"))["error_at"] == ""


def test_an_error_whose_message_fails_is_told_too() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe(Mute())["error_message"] == "(its message failed: RuntimeError)"


@pytest.mark.parametrize(
    ("said", "complaints"),
    [
        (b"[WARNING] module not implemented\n", ["[WARNING] module not implemented"]),
        (b"r: 25\nv_reset is ignored\n", ["v_reset is ignored"]),
        (b"all is well\n", []),
        (b"x.py:1: DeprecationWarning: use the new one\n", []),
    ],
)
def test_a_printed_warning_is_a_complaint_unless_it_says_that_something_is_old(said: bytes, complaints: list[str]) -> None:
    capture = Capture()
    with guarded(capture):
        os.write(1, said)
    assert (capture.complaints, capture.text) == (complaints, said.decode())


def test_what_is_said_in_several_parts_is_kept_together_and_cut() -> None:
    capture = Capture()
    for number in range(3):
        with guarded(capture):
            os.write(2, str(number).encode() * KEPT * 2 if number == 2 else str(number).encode())
    assert capture.text == ("01" + "2" * KEPT)[:KEPT]


def test_working_directory_and_environment_are_put_back() -> None:
    before = Path.cwd()
    with guarded(Capture()):
        inside = Path.cwd()
        os.environ["NIR_INTEROP_TEST_LEFT"] = "1"
        os.chdir("/")
    assert (Path.cwd(), os.environ.get("NIR_INTEROP_TEST_LEFT"), inside.exists()) == (before, None, False)


def test_the_number_of_generated_code_is_left_out() -> None:
    assert one_line("invalid syntax (<eval_with_key>.12, line 6)") == "invalid syntax (<eval_with_key>, line 6)"
