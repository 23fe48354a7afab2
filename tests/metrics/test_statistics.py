"""Statistics files: faithful, deterministic, and closed to hostile input."""

from __future__ import annotations

import io
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticketlab.errors import CorruptFile, DataError
from ticketlab.metrics.frechet import frechet_distance
from ticketlab.metrics.statistics import Statistics, comparable

FEATURES = np.random.default_rng(0).standard_normal((50, 6))


def made(**changes: Any) -> Statistics:
    names = {"extractor": "randconv-s0", "pipeline": "uint8 1x28x28", "weights_sha256": "ab", "dataset_sha256": "cd"}
    return Statistics.from_features(FEATURES, **(names | changes))


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + data


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mean_and_covariance_are_those_of_numpy_in_float64(dtype: type) -> None:
    features = (np.random.default_rng(1).standard_normal((20_000, 3)) + 1000).astype(dtype)
    statistics = Statistics.from_features(features, extractor="e", pipeline="p")
    exact = features.astype(np.float64)
    np.testing.assert_allclose(statistics.mu, exact.mean(0), rtol=1e-13)
    np.testing.assert_allclose(statistics.sigma, np.cov(exact, rowvar=False), rtol=1e-9, atol=1e-12)
    assert (statistics.n, statistics.dim) == (20_000, 3)


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 3)), np.zeros(3), np.array([[1.0], [np.nan]]), np.array([[1.0], [np.inf]])]
)
def test_features_without_a_covariance_are_refused(bad: Any) -> None:
    with pytest.raises(DataError):
        Statistics.from_features(bad, extractor="e", pipeline="p")


def test_a_saved_file_gives_everything_back(tmp_path: Path) -> None:
    statistics = made()
    statistics.save(tmp_path / "real.npz")
    back = Statistics.load(tmp_path / "real.npz")
    assert np.array_equal(back.mu, statistics.mu)
    assert np.array_equal(back.sigma, statistics.sigma)
    names = ("n", "extractor", "pipeline", "weights_sha256", "dataset_sha256")
    assert [getattr(back, name) for name in names] == [50, "randconv-s0", "uint8 1x28x28", "ab", "cd"]


def test_equal_statistics_give_equal_bytes_whenever_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made().save(tmp_path / "a.npz")
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    made().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_the_file_without_pickles(tmp_path: Path) -> None:
    made().save(tmp_path / "real.npz")
    with np.load(tmp_path / "real.npz", allow_pickle=False) as content:
        assert np.array_equal(content["mu"], FEATURES.mean(0))
        assert content["sigma"].dtype == np.float64
        assert set(content.files) == {"mu", "sigma", "n", "extractor", "pipeline", "weights_sha256", "dataset_sha256"}


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_foreign_file_of_any_float_layout_is_read_as_declared(tmp_path: Path, dtype: str, order: Any) -> None:
    sigma = np.cov(FEATURES, rowvar=False).astype(dtype, order=order)
    path = npz(tmp_path / "foreign.npz", mu=FEATURES.mean(0).astype(dtype), sigma=sigma, note=np.arange(3))
    loaded = Statistics.load(path, extractor="inception", pipeline="pytorch-fid")
    assert loaded.sigma.dtype == np.float64
    np.testing.assert_allclose(loaded.sigma, sigma.astype(np.float64), rtol=1e-6, atol=1e-7)
    assert (loaded.n, loaded.extractor, loaded.pipeline) == (None, "inception", "pytorch-fid")


def test_a_declaration_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    made().save(tmp_path / "real.npz")
    with pytest.raises(DataError, match="randconv-s0"):
        Statistics.load(tmp_path / "real.npz", extractor="inception")


EYE = np.eye(3)
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "no mu": ({"sigma": EYE}, "'mu' is missing"),
    "no sigma": ({"mu": np.zeros(3)}, "'sigma' is missing"),
    "other d": ({"mu": np.zeros(4), "sigma": EYE}, "shape"),
    "not square": ({"mu": np.zeros(3), "sigma": np.zeros((3, 4))}, "shape"),
    "mu a matrix": ({"mu": np.zeros((1, 3)), "sigma": EYE}, "shape"),
    "empty": ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "shape"),
    "asymmetric": ({"mu": np.zeros(3), "sigma": EYE + np.triu(np.ones((3, 3)), 1)}, "not symmetric"),
    "nan": ({"mu": np.zeros(3), "sigma": EYE * np.nan}, "not finite"),
    "infinite mu": ({"mu": np.full(3, np.inf), "sigma": EYE}, "not finite"),
    "negative variance": ({"mu": np.zeros(3), "sigma": -EYE}, "negative variance"),
    "integers": ({"mu": np.zeros(3, int), "sigma": EYE}, "type"),
    "complex": ({"mu": np.zeros(3), "sigma": EYE.astype(complex)}, "type"),
    "pickled": ({"mu": np.array([{}, {}, {}], dtype=object), "sigma": EYE}, "type '|O'"),
    "n a list": ({"mu": np.zeros(3), "sigma": EYE, "n": np.arange(2)}, "shape"),
    "extractor a number": ({"mu": np.zeros(3), "sigma": EYE, "extractor": np.array(1.0)}, "type"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_wrong_file_is_refused_with_its_name_and_the_reason(tmp_path: Path, case: str) -> None:
    arrays, reason = HOSTILE[case]
    path = npz(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(CorruptFile) as caught:
        Statistics.load(path, extractor="e", pipeline="p")
    assert "wrong.npz" in str(caught.value)
    assert reason in str(caught.value)


MU = io.BytesIO()
np.save(MU, np.zeros(3))


@pytest.mark.parametrize(
    ("mu", "sigma"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999,), }", bytes(10**7)), b""),
        (MU.getvalue(), npy("{'descr': '<f8', 'fortran_order': False, 'shape': (50000, 50000), }", bytes(10**7))),
        (MU.getvalue(), npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", bytes(10**7))),
        (MU.getvalue(), npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", bytes(71))),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }"), b""),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3 3,), }"), b""),
        (npy("__import__('os').abort()"), b""),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", bytes(24), b"\x02\x00"), b""),
        (b"", b""),
        (b"\x80\x04.", b""),
    ],
)
def test_lying_headers_and_bombs_are_refused_before_their_data_are_read(
    tmp_path: Path, mu: bytes, sigma: bytes
) -> None:
    path = archive(tmp_path / "bomb.npz", mu=mu, sigma=sigma)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile, match=r"'(mu|sigma)'"):
            Statistics.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_what_is_no_archive_is_corrupt_and_what_is_not_there_is_missing(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(CorruptFile, match="not a readable NPZ"):
        Statistics.load(tmp_path / "text.npz")
    with pytest.raises(DataError, match="cannot be opened"):
        Statistics.load(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="cannot be opened"):
        Statistics.load(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_are_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "damaged.npz"
    made().save(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        loaded = Statistics.load(path)
    except CorruptFile:
        return
    assert np.array_equal(loaded.mu, made().mu)
    assert np.array_equal(loaded.sigma, made().sigma)


@pytest.mark.parametrize(
    "changes", [{"extractor": "other"}, {"pipeline": "other"}, {"weights_sha256": "other"}, {"pipeline": ""}]
)
def test_statistics_of_another_making_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        comparable(made(), made(**changes))


def test_undeclared_statistics_are_refused_even_among_themselves() -> None:
    with pytest.raises(DataError, match="nobody declared"):
        comparable(made(extractor=""), made(extractor=""))


def test_statistics_of_one_making_are_comparable_whatever_the_data() -> None:
    assert frechet_distance(made(), made(dataset_sha256="other")) <= 1e-9
    assert frechet_distance(made(), made(weights_sha256="")) <= 1e-9


def test_statistics_of_another_dimension_are_refused() -> None:
    narrow = Statistics(np.zeros(3), np.eye(3), 50, "randconv-s0", "uint8 1x28x28")
    with pytest.raises(DataError, match="dim"):
        comparable(made(), narrow)
