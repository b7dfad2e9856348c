"""The words of the tables: statuses, blame, causes, modes. One line of meaning each."""

from __future__ import annotations

from enum import Enum

REFERENCE, CONTINUOUS = "reference", "exact"
"""The two backends of our own: NIR's meaning in steps, and the equations in continuous time, which have no update rule."""
ADAPTERS_OWN = "adapter's own"
"""What every table says of an importer or exporter that the library does not ship."""


class Word(str, Enum):
    """A value of a text column; ``meaning`` is what the reader of the table is told."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Word:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    def __str__(self) -> str:
        return str(self.value)


class Status(Word):
    """How a cell ended."""

    EXACT = "exact", "every output is the same"
    ROUNDING = "rounding", "differs only where the membrane grazes the threshold; proven by replay"
    MISMATCH = "mismatch", "outputs differ"
    VACUOUS = "vacuous", "the source's output is too quiet or constant: agreement proves nothing"
    UNSTABLE = "unstable", "outcomes differ between repeats of the same import"
    WRONG_SHAPE = "wrong_shape", "the output has another shape"
    REFUSED = "refused", "the library declined on purpose, and said so"
    EXPORT_ERROR = "export_error", "the library's exporter, or its model, failed"
    WRITE_ERROR = "write_error", "the exported graph could not be written"
    READ_ERROR = "read_error", "nir's own reader refused the file, before any importer saw it"
    IMPORT_ERROR = "import_error", "the library's importer failed"
    RUN_ERROR = "run_error", "the imported model failed when run"
    TIMEOUT = "timeout", "the time limit passed"
    CRASH = "crash", "the process died, twice"
    ENV_MISSING = "env_missing", "the library is not installed"

    @property
    def agrees(self) -> bool:
        """Whether the target computed what the source computed."""
        return self in (Status.EXACT, Status.ROUNDING)

    @property
    def is_error(self) -> bool:
        """Whether there is no output to compare."""
        return self in _ERRORS


_ERRORS = frozenset(
    {
        Status.EXPORT_ERROR,
        Status.WRITE_ERROR,
        Status.READ_ERROR,
        Status.IMPORT_ERROR,
        Status.RUN_ERROR,
        Status.TIMEOUT,
        Status.CRASH,
        Status.ENV_MISSING,
    }
)


class Stage(Word):
    """How far a cell came before it ended."""

    BUILD = "build", "writing the network in the library"
    TRAIN = "train", "training it"
    NATIVE = "native", "running it in its own library"
    EXPORT = "export", "the library's exporter"
    WRITE = "write", "writing the file"
    READ = "read", "reading the file"
    IMPORT = "import", "the library's importer"
    RUN = "run", "running the imported model"
    COMPARE = "compare", "comparing the outputs"


class Blame(Word):
    """Who is to blame for a difference."""

    NONE = "none", "nothing to blame"
    BUILDER = "builder", "the library's network is not the network that was asked for"
    EXPORTER = "exporter", "the exporter changed the graph or its meaning"
    IMPORTER = "importer", "the importer changed the meaning"
    BOTH = "both", "neither side has NIR's meaning"
    SETTING = "setting", "the caller asked for another time step than the export's"
    SETTING_AND_EXPORTER = "setting+exporter", "the caller asked for another time step, and the exporter changed the graph"
    SETTING_AND_IMPORTER = "setting+importer", "the caller asked for another time step, and the importer changed the meaning"
    SETTING_AND_BOTH = "setting+both", "the caller asked for another time step, and neither side has NIR's meaning"
    FORMAT = "format", "NIR cannot say it, or its own reader cannot read it"
    HARNESS = "harness", "nir-interop itself failed: nothing is known of the library"
    UNEXPLAINED = "unexplained", "not known"

    @property
    def of_setting(self) -> bool:
        """Whether the caller's own time step has a part in it: a case of its own, which no headline counts."""
        return str(self).startswith("setting")

    @property
    def beside_a_setting(self) -> Blame:
        """The same where the caller also asked for another step: the setting's, where no library is known to be at fault."""
        found = {
            Blame.EXPORTER: Blame.SETTING_AND_EXPORTER,
            Blame.IMPORTER: Blame.SETTING_AND_IMPORTER,
            Blame.BOTH: Blame.SETTING_AND_BOTH,
        }
        return self if self.of_setting else found.get(self, Blame.SETTING)


class Idiom(Word):
    """How an adapter writes and exports a network; what it does in a library, an adapter says of each that it has."""

    TUTORIAL = "tutorial", "as the library's own tutorial does"
    PORTABLE = "portable", "as its documentation says, with the step that is meant: explicit shapes, tensors, no batch"
    WORKED_AROUND = "worked_around", "with a trick that one has to know, which the adapter names"


class Mode(Word):
    """Which graph the importer was given."""

    NATIVE = "native", "the exported graph as it is"
    RECONCILED = "reconciled", "the graph rewritten for the target"


class Against(Word):
    """What a target's outputs are compared with."""

    SOURCE = "source", "the source's native recording"
    NIR = "nir", "NIR's own meaning, in steps"
    EXACT = "exact", "the equations in continuous time"


class Reset(Word):
    """What a network asks to happen to the membrane at a spike."""

    VALUE = "value", "set to v_reset"
    SUBTRACT = "subtract", "lowered by the threshold"


class Readout(Word):
    """How a class is read from the output, axes (T, B, classes)."""

    RATE = "rate", "the neuron with most spikes"
    LAST = "last", "the largest value at the last step"


class Direction(Word):
    """Which way a primitive goes."""

    IMPORT = "import", "a graph with it, read by the library"
    EXPORT = "export", "a network with it, written by the library"


class PrimitiveStatus(Word):
    """What a backend makes of a case; of an export, what the graph that it wrote means."""

    EXACT = "exact", "every output is the same; values are compared in float32"
    ROUNDING = "rounding", "differs only by what single precision rounds; proven by replay"
    WRONG = "wrong", "outputs differ, or have another shape"
    DROPPED = "dropped", "the outputs are those of the graph without the primitive"
    REFUSED = "refused", "the library declined on purpose, and said so"
    ERROR = "error", "the library failed"
    UNREADABLE = "unreadable", "nir's own reader refused the file, before the library saw it"
    UNSTABLE = "unstable", "outcomes differ between repeats of the same import"
    HANG = "hang", "no answer within the time limit"

    @property
    def agrees(self) -> bool:
        """Whether the library computed what the graph means."""
        return self in (PrimitiveStatus.EXACT, PrimitiveStatus.ROUNDING)


class Cause(Word):
    """Why outputs differ. ``*_lost`` is the exporter's, ``*_dropped`` and ``*_ignored`` the importer's."""

    RESET_LOST = "reset_lost", "the exporter did not write the reset kind"
    NODE_LOST = "node_lost", "the exporter left a node out"
    BIAS_LOST = "bias_lost", "the exporter left a bias out"
    PARAMETER_LOST = "parameter_lost", "the exporter left a parameter out"
    TAU_REWRITTEN = "tau_rewritten", "the exporter wrote another time constant"
    TIME_UNIT = "time_unit", "the exporter wrote times in another unit"
    DT_FIXED = "dt_fixed", "the importer always uses its own time step"
    DT_DEFAULT = "dt_default", "the importer used its default time step"
    DT_GUESSED = "dt_guessed", "the importer guessed the time step"
    DECAY = "decay", "another decay per step"
    DECAY_CLAMPED = "decay_clamped", "the decay is clamped to [0, 1]"
    GAIN = "gain", "another input gain"
    RESISTANCE_IGNORED = "resistance_ignored", "r is not used"
    RESISTANCE_COLLAPSED = "resistance_collapsed", "one r stands for all neurons"
    THRESHOLD_COLLAPSED = "threshold_collapsed", "one threshold stands for all neurons"
    LEAK_IGNORED = "leak_ignored", "v_leak is not used"
    LEAK_ON_SYNAPSE = "leak_on_synapse", "v_leak is also given to the synapse"
    LEAK_ADDED = "leak_added", "v_leak is added at every step"
    RESET_KIND = "reset_kind", "another kind of reset"
    RESET_VALUE_IGNORED = "reset_value_ignored", "v_reset is not used"
    RESET_LATE = "reset_late", "the reset comes one step late, or is carried into the next comparison"
    COMPARISON = "comparison", "> where >= is meant, or the other way round"
    START = "start", "another start value"
    SPIKES_PER_STEP = "spikes_per_step", "several spikes in one step"
    FLOOR = "floor", "the membrane has a floor"
    LAYER_DELAY = "layer_delay", "each layer answers one step late"
    SYNAPSE_ORDER = "synapse_order", "the membrane is fed before the synapse is advanced"
    INPUT_WEIGHT_IGNORED = "input_weight_ignored", "w_in is not used"
    FEEDBACK_BIAS_AT_START = "feedback_bias_at_start", "a recurrent bias is missing at t = 0"
    CYCLE_ORDER = "cycle_order", "another edge of the cycle waits a step"
    STATE_CARRIED = "state_carried", "state is carried from one sequence to the next"
    NAME_ORDER = "name_order", "the importer takes the graph only under names that sort in the order in which nodes run"
    PARAMETER_SHAPE = "parameter_shape", "one number for all neurons is not taken, one per neuron is"
    NUMBER_TYPE = "number_type", "numbers of this type are not taken, single precision is"
    NODE_DROPPED = "node_dropped", "the importer left a node out"
    JOIN_MISRUN = "join_misrun", "a join does not add up"
    RECURRENCE_REWIRED = "recurrence_rewired", "the importer wired the recurrence differently"
    FLATTEN_BATCH = "flatten_batch", "Flatten swallows the batch"
    FLATTEN_ORDER = "flatten_order", "Flatten permutes the features"
    POOL_PADDING = "pool_padding", "pooling padding is not used"
    WEIGHT_TRANSPOSED = "weight_transposed", "a weight is transposed"
    BIAS_DROPPED = "bias_dropped", "the importer left a bias out"
    DT_REQUESTED = "dt_requested", "the caller asked for another time step than the export's"
    UNSUPPORTED = "unsupported", "the library has no such primitive, layer or parameter"
    UNREADABLE = "unreadable", "nir's own reader refuses the file"
    DISCRETISATION = "discretisation", "steps where the target solves the equations in continuous time"
    NOT_EXPRESSIBLE = "not_expressible", "NIR cannot say it"
    ROUNDING = "rounding", "floating-point rounding at the threshold"
    UNEXPLAINED = "unexplained", "not known"
