"""``nir-interop experiment``: a study, start to end."""

from __future__ import annotations

import shlex
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nir_interop.cli.options import RESULTS, STORE, Backends, Json, Quiet, Seed, Store, a_folder, print_json, say_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "nir_interop.experiments"
"""Entry points of studies: name → an object with ``name``, ``question``, ``options`` and ``run``."""


def experiment(
    name: Annotated[str, typer.Argument(help="Which study; an unknown name lists all of them.")],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where MNIST/ and NMNIST/ lie; without it: the embedded digits.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=10_000, help="Passes over the training samples.")] = 1,
    device: Annotated[str, typer.Option("--device", help="Where networks are trained: cpu, cuda, cuda:1.")] = "cpu",
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small version that ends within 90 s on two cores.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            callback=a_folder("-o"),
            help="Where the tables go; results/<name>, with --quick results/<name>-quick.",
        ),
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option("--checkpoints", help="Where trained networks lie or are put; in --store by default.")
    ] = None,
    backend: Backends = None,
    paper_dir: Annotated[
        Path | None, typer.Option("--paper-dir", help="nir_paper: the paper's folder, or a checkout of the NIR repository.")
    ] = None,
    train_only: Annotated[bool, typer.Option("--train-only", help="Train, leave the checkpoints, and stop.")] = False,
    store: Store = STORE,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run a study and write its tables, figures, graphs and page; a run that was interrupted goes on where it stopped."""
    from nir_interop.cli.progress import TaskProgress

    study = _study(name)
    own = _own(name, study.options, {"paper_dir": paper_dir})
    given: dict[str, Any] = {"--data-dir": data_dir, "--epochs": epochs if epochs != 1 else None, "--seed": seed or None}
    given |= {"--device": device if device != "cpu" else None, "--paper-dir": paper_dir}
    given |= {f"--backend {each}": each for each in backend or ()}
    words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    options = {
        **own,
        "data_dir": data_dir,
        "out": out if out is not None else RESULTS / (f"{name}-quick" if quick else name),
        "work": store / "experiments" / name,
        "store": store,
        "epochs": epochs,
        "device": device,
        "seed": seed,
        "quick": quick,
        "train_only": train_only,
        "libraries": tuple(dict.fromkeys(backend or ())),
        "checkpoints": checkpoints,
        "command": shlex.join(["nir-interop", "experiment", name, *words, *(["--quick"] if quick else [])]),
    }
    try:
        written = study.run(study.options(**options), TaskProgress(quiet=quiet or json))
    except KeyboardInterrupt:
        typer.echo("nir-interop: interrupted; what is trained and run is kept, run the same command to go on", err=True)
        raise typer.Exit(130) from None
    if json:
        print_json({"experiment": name, "files": [str(path) for path in written]})
        return
    for path in () if quiet else written:
        say_line(str(path))


def _own(name: str, options: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What of the options that single studies have is one of this study's.

    Raises BadInput for one that was given and is another's.
    """
    from dataclasses import fields

    from nir_interop.errors import BadInput

    has = {field.name for field in fields(options)}
    for key, value in given.items():
        if value is not None and key not in has:
            raise BadInput(f"--{key.replace('_', '-')}: the study {name} has no such option; leave it out")
    return {key: value for key, value in given.items() if key in has}


def _study(name: str) -> Any:
    """The study of that name, imported.

    Raises UnknownName where there is none.
    """
    from nir_interop.errors import UnknownName

    points: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UnknownName(f"no experiment {name!r}; there are {', '.join(sorted(points)) or 'none'}")
    return points[name].load()
