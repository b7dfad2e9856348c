from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nir_interop.datasets import EVENT, Recordings, load_digits_events, load_digits_images
from nir_interop.errors import BadStimulus, UnknownName
from nir_interop.networks import catalogue, names
from nir_interop.stimuli import (
    Stimulus,
    bernoulli,
    encode,
    events_to_frames,
    load_output,
    load_stimulus,
    recordings_to_frames,
    stimulus_for,
    training_samples,
)


def test_random_spikes_are_zeros_and_ones_at_the_asked_rate() -> None:
    spikes = bernoulli((4, 20), steps=200, batch=8, rate=0.3, seed=1)
    assert spikes.shape == (200, 8, 4, 20)
    assert spikes.dtype == np.float32
    assert set(np.unique(spikes)) == {0, 1}
    deviation = np.sqrt(0.3 * 0.7 / spikes.size)
    assert abs(spikes.mean() - 0.3) < 4 * deviation


def test_random_spikes_depend_on_the_seed_and_on_nothing_else() -> None:
    first, again, other = (bernoulli((20,), 100, 4, 0.3, seed) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("rate", "mean"), [(0.0, 0), (1.0, 1)])
def test_certain_and_impossible_spikes_are_drawn_as_such(rate: float, mean: int) -> None:
    assert bernoulli((50,), 50, 2, rate, 0).mean() == mean


@pytest.mark.parametrize(
    ("steps", "batch", "rate"), [(0, 1, 0.5), (1, 0, 0.5), (1, 1, 1.5), (1, 1, -0.1), (1, 1, float("nan"))]
)
def test_random_spikes_that_cannot_be_drawn_are_a_bad_stimulus(steps: int, batch: int, rate: float) -> None:
    with pytest.raises(BadStimulus):
        bernoulli((1,), steps, batch, rate, 0)


def test_rate_coding_spikes_with_the_probability_of_the_intensity() -> None:
    images = np.array([[0.0, 0.25, 0.5, 1.0]])
    rates = encode(images, "rate", steps=4000, seed=0).mean(axis=0)[0]
    assert rates[0] == 0
    assert rates[3] == 1
    np.testing.assert_allclose(rates[1:3], [0.25, 0.5], atol=4 * np.sqrt(0.25 / 4000))


def test_rate_coded_steps_are_independent() -> None:
    spikes = encode(np.full((1, 1), 0.5), "rate", steps=20000, seed=3)[:, 0, 0]
    assert abs(np.corrcoef(spikes[:-1], spikes[1:])[0, 1]) < 4 / np.sqrt(20000)


def test_latency_coding_gives_brighter_pixels_one_earlier_spike_and_dark_ones_none() -> None:
    spikes = encode(np.array([[1.0, 0.75, 0.5, 0.01, 0.0]]), "latency", steps=9, seed=0)
    assert spikes.sum(axis=0).tolist() == [[1, 1, 1, 1, 0]]
    assert spikes[:, 0, :4].argmax(axis=0).tolist() == [0, 2, 4, 8]


def test_direct_coding_holds_the_image_at_every_step() -> None:
    images = load_digits_images(train=False).images[:3]
    held = encode(images, "direct", steps=5, seed=0)
    assert held.shape == (5, 3, 8, 8)
    assert all(np.array_equal(step, images) for step in held)


def test_an_unknown_encoding_or_unscaled_image_is_refused_in_words() -> None:
    with pytest.raises(UnknownName, match="'phase'; there are direct, latency, rate"):
        encode(np.zeros((1, 4)), "phase", 3, 0)
    for value in (255.0, -0.5, np.nan):
        with pytest.raises(BadStimulus, match="within 0 to 1"):
            encode(np.full((1, 4), value), "rate", 3, 0)


@pytest.mark.parametrize("name", names())
def test_every_network_of_the_catalogue_has_its_stimulus(name: str) -> None:
    entry = catalogue(name)
    network = entry.build(0)
    stimulus = stimulus_for(entry, network, seed=0)
    wanted = entry.stimulation
    assert stimulus.input.shape == (wanted.steps, wanted.batch, *network.input_shape)
    assert stimulus.input.dtype == np.float32
    assert stimulus.dataset == wanted.dataset
    assert stimulus.input.any()
    if wanted.dataset == "random":
        assert stimulus.labels is None
    else:
        assert stimulus.labels is not None
        assert np.array_equal(stimulus.labels, load_digits_images(train=False).labels[: wanted.batch])


def test_a_network_is_fed_the_test_digits_and_trained_on_the_training_digits() -> None:
    entry = catalogue("mlp_lif")
    entry = replace(entry, stimulation=replace(entry.stimulation, encoding="direct"))
    network = entry.build(0)
    tested = stimulus_for(entry, network, 0)
    trained, labels = training_samples(entry, network, 0)
    assert np.array_equal(tested.input[0], load_digits_images(train=False).images.reshape(360, 64))
    assert np.array_equal(trained[0], load_digits_images(train=True).images.reshape(1437, 64))
    assert np.array_equal(labels, load_digits_images(train=True).labels)


def test_convolutional_networks_see_the_digits_upsampled() -> None:
    entry = catalogue("csnn_avgpool")
    entry = replace(entry, stimulation=replace(entry.stimulation, encoding="direct", steps=1))
    stimulus = stimulus_for(entry, entry.build(0), 0)
    assert np.array_equal(stimulus.input[0, :, 0], load_digits_images(train=False, size=28).images[:100])


def test_training_and_test_samples_come_from_different_streams_of_the_seed() -> None:
    images = np.full((360, 64), 0.5, dtype=np.float32)
    entry = catalogue("mlp_lif")
    trained, _ = training_samples(entry, entry.build(0), 0)
    train_images = load_digits_images(train=True).images.reshape(-1, 64)
    assert not np.array_equal(trained, encode(train_images, "rate", 25, 0))
    assert not np.array_equal(encode(images, "rate", 5, 0), encode(images, "rate", 5, 0, stream=103))


def test_a_stimulus_that_digits_cannot_give_is_refused_in_words() -> None:
    entry = catalogue("mlp_lif")
    with pytest.raises(BadStimulus, match=r"cannot take the shape \(20,\)"):
        stimulus_for(entry, catalogue("rlif").build(0), 0)
    greedy = replace(entry, stimulation=replace(entry.stimulation, batch=361))
    with pytest.raises(BadStimulus, match="360 test samples, mlp_lif asks for 361"):
        stimulus_for(greedy, entry.build(0), 0)
    strange = replace(entry, stimulation=replace(entry.stimulation, dataset="letters"))
    with pytest.raises(UnknownName, match="'letters'"):
        stimulus_for(strange, entry.build(0), 0)
    with pytest.raises(UnknownName, match="'random'"):
        training_samples(catalogue("rlif"), catalogue("rlif").build(0), 0)


def test_a_digest_tells_inputs_apart_by_values_and_by_shape() -> None:
    values = np.zeros((2, 3, 4), dtype=np.float32)
    changed = values.copy()
    changed[1, 2, 3] = 1
    kept, other, reshaped, strided = (
        Stimulus(array, None, "random", "bernoulli", 0).digest()
        for array in (values, changed, values.reshape(3, 2, 4), np.asfortranarray(values))
    )
    assert len({kept, other, reshaped}) == 3
    assert kept == strided
    entry = catalogue("rlif")
    assert stimulus_for(entry, entry.build(0), 5).digest() == stimulus_for(entry, entry.build(0), 5).digest()


def _events(rows: list[tuple[int, int, int, int]]) -> np.ndarray:
    return np.array(rows, dtype=EVENT)


SENSOR = (4, 3, 2)


def test_events_are_counted_by_step_polarity_row_and_column() -> None:
    events = _events([(3, 2, 10, 1), (3, 2, 15, 1), (0, 1, 1009, 0), (1, 0, 1010, 0), (1, 1, 2010, 1)])
    frames = events_to_frames(events, SENSOR, time_window=1000)
    assert frames.shape == (2, 1, 2, 3, 4)
    assert frames.dtype == np.float32
    assert frames[0, 0, 1, 2, 3] == 2
    assert frames[0, 0, 0, 1, 0] == 1
    assert frames[1, 0, 0, 0, 1] == 1
    assert frames.sum() == 4


def test_a_recording_can_be_cut_into_a_number_of_steps() -> None:
    events = load_digits_events(train=False)[0]
    frames = events_to_frames(events, (34, 34, 2), steps=25)
    assert frames.shape == (25, 1, 2, 34, 34)
    assert frames.sum() == pytest.approx(len(events), rel=0.01)


@pytest.mark.parametrize(
    ("events", "options", "message"),
    [
        (_events([(0, 0, 0, 0), (0, 0, 5000, 0)]), {}, "either time_window"),
        (_events([(0, 0, 0, 0), (0, 0, 5000, 0)]), {"time_window": 1000, "steps": 5}, "either time_window"),
        (_events([(0, 0, 0, 0), (0, 0, 5000, 0)]), {"time_window": 0}, "positive"),
        (_events([(0, 0, 0, 0), (0, 0, 5000, 0)]), {"steps": -1}, "positive"),
        (_events([(4, 0, 0, 0)]), {"steps": 2}, "x from 4 to 4, outside the sensor's 0 to 3"),
        (_events([(0, -1, 0, 0)]), {"steps": 2}, "y from -1"),
        (_events([(0, 0, 0, 2)]), {"steps": 2}, "p from 2"),
        (_events([]), {"steps": 2}, "no event"),
        (_events([(0, 0, 9, 0), (0, 0, 8, 0)]), {"steps": 2}, "back in time"),
        (np.zeros(3, dtype=[("x", int), ("t", int)]), {"steps": 2}, "missing: p, y"),
    ],
)
def test_events_that_make_no_frames_are_a_bad_stimulus(events: np.ndarray, options: dict[str, int], message: str) -> None:
    with pytest.raises(BadStimulus, match=message):
        events_to_frames(events, SENSOR, **options)


def test_a_recording_shorter_than_a_step_makes_one() -> None:
    frames = events_to_frames(_events([(0, 0, 0, 0), (0, 0, 500, 0)]), SENSOR, time_window=1000)
    assert frames.shape == (1, 1, 2, 3, 4)
    assert frames.sum() == 2


def test_recordings_of_different_lengths_make_one_batch_cut_or_followed_by_silence() -> None:
    recordings = Recordings(
        lambda index: _events([(index, 0, t * 1000 + 7, 1) for t in range([4, 8][index])]),
        np.array([0, 1]),
        SENSOR,
        "made up",
    )
    frames = recordings_to_frames(recordings, [0, 1], time_window=1000, steps=5)
    assert frames.shape == (5, 2, 2, 3, 4)
    # A recording's last event only ends its last whole step: four events 1 ms apart fill three steps.
    assert frames[:, 0].sum((1, 2, 3)).tolist() == [1, 1, 1, 0, 0]
    assert frames[:, 1].sum((1, 2, 3)).tolist() == [1, 1, 1, 1, 1]
    for indices, steps in (([], 5), ([0], 0)):
        with pytest.raises(BadStimulus, match="at least one"):
            recordings_to_frames(recordings, indices, time_window=1000, steps=steps)


SHAPE = (2, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.npz"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint16", "bool", ">f4"])
def test_a_users_input_is_read_as_float32(path: Path, dtype: str) -> None:
    values = (np.arange(4 * 5 * 6).reshape(4, 5, 2, 3) % 2).astype(dtype)
    np.savez_compressed(path, input=values, other=np.zeros(3))
    stimulus = load_stimulus(path, SHAPE)
    assert stimulus.input.dtype == np.dtype("float32")
    assert np.array_equal(stimulus.input, values.astype(np.float32))
    assert (stimulus.labels, stimulus.dataset) == (None, "file")


def test_a_users_input_in_column_order_is_read_by_its_axes(path: Path) -> None:
    values = np.asfortranarray(np.random.default_rng(0).standard_normal((4, 5, 2, 3)))
    np.savez(path, input=values)
    assert np.array_equal(load_stimulus(path, SHAPE).input, values.astype(np.float32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 5, 6)), r"has 3 axes, the graph needs 4: \(T, B, 2, 3\)"),
        (np.zeros((4, 5, 1, 2, 3)), "has 5 axes"),
        (np.float32(1), "has 0 axes"),
        (np.zeros((4, 5, 3, 2)), r"samples of shape \(3, 2\), the graph's input takes \(2, 3\)"),
        (np.zeros((0, 5, 2, 3)), r"is empty: it has the shape \(0, 5, 2, 3\)"),
        (np.zeros((4, 0, 2, 3)), r"is empty: it has the shape \(4, 0, 2, 3\)"),
        (np.full((1, 1, 2, 3), np.nan), "NaN"),
        (np.full((1, 1, 2, 3), -np.inf), "NaN or values beyond float32"),
        (np.full((1, 1, 2, 3), 1e300), "beyond float32"),
        (np.full((1, 1, 2, 3), 1j), "complex numbers"),
        (np.full((1, 1, 2, 3), "one"), "text"),
        (np.full((1, 1, 2, 3), None), "Python objects"),
        (np.zeros((1, 1, 2, 3), dtype=EVENT), "records"),
        (np.zeros((1, 1, 2, 3), dtype="datetime64[s]"), "datetime64"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_in_one_line(path: Path, values: np.ndarray, message: str) -> None:
    np.savez(path, input=values)
    with pytest.raises(BadStimulus, match=message) as caught:
        load_stimulus(path, SHAPE)
    assert "x.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def _npz(header: bytes, content: bytes = b"", name: str = "input.npy") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, header + content)
    return packed.getvalue()


def _npy_header(shape: str, dtype: str = "'<f4'", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole npz file"),
        (b"PK\x03\x04 and no more", "not a whole npz file"),
        (b"\x93NUMPY\x01\x00", "not a whole npz file"),
        (_npz(b"", name="inputs.npy"), "no key 'input', only 'inputs'"),
        (_npz(b"plain", name="input"), "no key 'input'"),
        (_npz(b""), "no array that can be read"),
        (_npz(b"no array at all"), "no array that can be read"),
        (_npz(_npy_header("(4, 5, 2, 3)", version=b"\x03\x00")), "no array that can be read"),
        (_npz(_npy_header("(4, 5, 2, 3")), "no array that can be read"),
        (_npz(_npy_header("(4, 5, 2, 3)", dtype="'nothing'")), "no array that can be read"),
        (_npz(_npy_header("(4, 5, 2, 3)"), bytes(100)), "declares 120 elements but holds 100 bytes"),
        (_npz(_npy_header("(-4, 5, 2, 3)"), bytes(100)), "is empty"),
        (
            _npz(_npy_header("(1000000000000, 1, 2, 3)")),
            r"has 6,000,000,000,000 elements, which take [\d,.]+ GiB, more than 4 GiB",
        ),
    ],
)
def test_a_file_that_is_no_input_is_refused_in_one_line(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(BadStimulus, match=message) as caught:
        load_stimulus(path, SHAPE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"output.npy": b""}, "holds no array that can be read under 'output'"),
        ({"output": b"abc"}, r"has no key 'output', only 'input', 'output \(no array\)'"),
        ({}, "has no key 'output', only 'input'"),
        ({"output.npy": _npy_header("(5, 2, 1000000000000)")}, "10,000,000,000,000 elements, which take"),
        ({"expected.npy": _npy_header("(5, 2, 3)")}, "declares 30 elements but holds 0 bytes"),
        ({"output.npy": _npy_header("(4, 2, 3)")}, r"has axes \(4, 2, 3\); the input has \(5, 2, 3\)"),
    ],
)
def test_a_recording_without_its_output_is_refused_in_one_line(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    path = tmp_path / "recording.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("input.npy", _npy_header("(5, 2, 3)") + bytes(120))
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(BadStimulus, match=message) as caught:
        load_output(path, np.zeros((5, 2, 3), np.float32))
    assert "\n" not in str(caught.value)


def test_an_input_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadStimulus, match="cannot be read: No such file"):
        load_stimulus(tmp_path / "none.npz", SHAPE)
    with pytest.raises(BadStimulus, match="cannot be read"):
        load_stimulus(tmp_path, SHAPE)


def test_the_message_about_a_file_stays_one_line_whatever_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadStimulus) as caught:
        load_stimulus(tmp_path / "a\nb\udce9.npz", SHAPE)
    assert str(caught.value).isprintable()
    assert str(caught.value).encode()


def test_damage_anywhere_in_a_file_is_a_bad_stimulus_or_harmless(path: Path) -> None:
    np.savez_compressed(path, input=np.random.default_rng(0).random((4, 5, 2, 3)).astype(np.float32))
    whole = path.read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole[: generator.integers(1, len(whole))] if generator.random() < 0.2 else whole)
        for place in generator.integers(0, len(damaged), 3):
            damaged[place] = generator.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert load_stimulus(path, SHAPE).input.shape == (4, 5, 2, 3)
        except BadStimulus:
            refused += 1
    assert refused > 200
