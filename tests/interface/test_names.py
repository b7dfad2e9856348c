"""``import nir_interop``: which names there are, and that nothing is imported before it is asked for."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import time
from importlib.metadata import version
from types import FunctionType, ModuleType

import nir_interop as ni
from nir_interop import errors

FUNCTIONS = ["backends", "check", "explain", "reconcile", "rules", "simulate", "transfer", "upgrade"]
ERRORS = [
    "BackendMissing",
    "BadData",
    "BadInput",
    "BadStimulus",
    "CannotBuild",
    "CannotRecord",
    "InvalidGraph",
    "NirInteropError",
    "NoAnswer",
    "NotExpressible",
    "NotReconciled",
    "OwnFailure",
    "ReadFailed",
    "RunFailed",
    "TooSlow",
    "UnknownName",
    "UnreadableGraph",
]


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_user_imports_these_names_and_no_others() -> None:
    assert sorted(ni.__all__) == sorted([*FUNCTIONS, *ERRORS, "Adapter", "Recording", "errors"])
    assert set(ni.__all__) <= set(dir(ni))
    assert all(getattr(ni, name) is not None for name in ni.__all__)


def test_every_exception_of_the_tree_is_there() -> None:
    tree = [name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.NirInteropError)]
    assert sorted(tree) == ERRORS
    assert all(getattr(ni, name) is getattr(errors, name) for name in ERRORS)
    assert all(name in (errors.__doc__ or "") for name in ERRORS)


def test_importing_is_quick_and_imports_nothing_large() -> None:
    code = "import sys, time; t = time.perf_counter(); import nir_interop; print(time.perf_counter() - t, *sorted(sys.modules))"
    took = []
    for _ in range(3):
        seconds, *modules = fresh(code).split()
        assert not {"torch", "numpy", "nir", "h5py", "pandas", "execnet", "typer", "rich"} & set(modules)
        took.append(float(seconds))
        if took[-1] < 0.3:
            break
        time.sleep(1)
    assert min(took) < 0.3


def test_the_functions_are_functions_whatever_was_imported_before() -> None:
    packages = "import nir_interop.explain.verdict, nir_interop.reconcile.model, nir_interop.backends.adapter"
    assert fresh(
        f"{packages}; import nir_interop as ni; print(*(type(each).__name__ for each in (ni.explain, ni.reconcile)))"
    ) == ("function function")
    after = "import nir_interop as ni; ni.explain; from nir_interop.explain import verdict; print(type(ni.explain).__name__)"
    assert fresh(after) == "function"
    dotted = "print(verdict.__name__, type(ni.explain).__name__, ni.explain.verdict is verdict, ni.explain.__name__)"
    first = f"import nir_interop.explain.verdict as verdict; import nir_interop as ni; {dotted}"
    then = f"import nir_interop as ni; ni.explain; import nir_interop.explain.verdict as verdict; {dotted}"
    assert fresh(first) == fresh(then) == "nir_interop.explain.verdict function True explain"
    assert all(isinstance(getattr(ni, name), FunctionType) for name in FUNCTIONS)
    assert isinstance(ni.errors, ModuleType)


def test_a_name_that_there_is_not_is_said_to_be_none() -> None:
    assert fresh("import nir_interop as ni; print(hasattr(ni, 'chekc'))") == "False"


def test_every_function_says_shapes_units_what_it_raises_and_an_example() -> None:
    for name in FUNCTIONS:
        said = inspect.getdoc(getattr(ni, name)) or ""
        assert ">>>" in said, name
        for each in inspect.signature(getattr(ni, name)).parameters:
            assert re.search(rf"^(\w+, )*{each}(, \w+)* : ", said, re.MULTILINE), (name, each)
    for name in ("check", "explain", "reconcile", "simulate", "upgrade"):
        said = inspect.getdoc(getattr(ni, name)) or ""
        assert "(T, B, \\*shape)" in said and "[s]" in said and "Raises" in said, name


def test_the_version_is_the_distributions() -> None:
    assert ni.__version__ == version("nir-interop")
