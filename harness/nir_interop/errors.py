"""What can go wrong, as one tree.

::

    NirInteropError
    ├── BadInput                the caller gave something unusable; command line: exit 2
    │   ├── UnreadableGraph     not a NIR file, or one that cannot be opened safely
    │   ├── InvalidGraph        a NIR file whose content means nothing
    │   ├── BadStimulus         an input file that does not fit the graph
    │   ├── BadData             a data set that is missing, partial or wrong
    │   └── UnknownName         no network, backend or cell of that name
    ├── NotExpressible          NIR cannot express this network
    ├── CannotBuild             this library cannot build this network
    ├── CannotRecord            a user's module gives no output for each step, however its library's users run it
    ├── ReadFailed              the library's own NIR reader refused the file
    ├── TooSlow                 the reference gave no answer within the time limit; command line: exit 2
    ├── OwnFailure              nir-interop itself failed, not what it was given; command line: exit 70
    ├── NoAnswer                a library's model returned something that is no output
    ├── NotReconciled           no rewriting known makes a backend give every output
    ├── RunFailed               a backend gave no recording of a graph; says why, in the library's words
    └── BackendMissing          the backend is not installed where it should be

Every message is one line and says what, where, and what to do next.
"""

from __future__ import annotations


class NirInteropError(Exception):
    """Root of the tree: everything the harness raises on purpose."""


class BadInput(NirInteropError):
    """The caller gave something that cannot be used."""


class UnreadableGraph(BadInput):
    """A file that is no NIR graph, or that cannot be opened safely."""


class InvalidGraph(BadInput):
    """A NIR file whose content means nothing.

    reached : nodes whose shapes were known before what is wrong was found
    """

    reached: int = 0


class BadStimulus(BadInput):
    """An input that does not fit the graph."""


class BadData(BadInput):
    """A data set that is missing, partial or wrong."""


class UnknownName(BadInput):
    """A network, backend or cell that does not exist."""


class NotExpressible(NirInteropError):
    """NIR cannot express this network (max pooling, for instance)."""


class CannotBuild(NirInteropError):
    """The library cannot build this network."""


class CannotRecord(NirInteropError):
    """A user's module that gives no output for each step in any way in which its library's users run one."""


class ReadFailed(NirInteropError):
    """The NIR reader in the library's environment refused the file; the reason is the cause."""


class NoAnswer(NirInteropError):
    """A library's model returned something that is no output: the documented call gives none."""


class TooSlow(NirInteropError):
    """The reference gave no answer within the time limit."""


class OwnFailure(NirInteropError):
    """Nir-interop itself failed: neither the graph nor a library is to blame."""


class RunFailed(NirInteropError):
    """A backend gave no recording of a graph.

    status : how it ended (a value of :class:`nir_interop.vocabulary.Status`)
    error_type, message : the library's own, normalised
    left_out : nodes of the graph that the model does not hold, where a backend told before it failed
    """

    def __init__(self, status: str, error_type: str = "", message: str = "", left_out: tuple[str, ...] = ()) -> None:
        super().__init__(": ".join(text for text in (status, error_type, message) if text))
        self.status, self.error_type, self.message, self.left_out = status, error_type, message, left_out


class NotReconciled(NirInteropError):
    """No rewriting that is known makes a backend give every output."""


class BackendMissing(NirInteropError):
    """A backend is not installed where it should be."""
