"""The Gaussian of a feature set (mean, covariance) with the name of what made it, and its NPZ file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ticketlab.errors import DataError
from ticketlab.metrics.archive import Archive, open_archive, write_archive

MOST_FEATURES = 8192
ROWS_AT_ONCE = 8192
ASYMMETRY = 1e-6


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance of `n` feature vectors of dimension d.

    `mu` is float64 (d,), `sigma` float64 (d, d) with divisor n - 1. `extractor` and `pipeline` name the network and how
    images reach it; "" means that nobody said, and `n` is None where a file of another tool does not tell.
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    n: int | None
    extractor: str
    pipeline: str
    weights_sha256: str = ""
    dataset_sha256: str = ""

    @property
    def dim(self) -> int:
        """The number of features d."""
        return len(self.mu)

    @classmethod
    def from_features(
        cls, features: ArrayLike, *, extractor: str, pipeline: str, weights_sha256: str = "", dataset_sha256: str = ""
    ) -> Statistics:
        """The statistics of `features` (n, d), n >= 2, accumulated in float64; DataError if they are not finite."""
        rows: NDArray[Any] = np.asarray(features)
        if rows.ndim != 2 or len(rows) < 2:
            raise DataError(f"a covariance needs at least two feature vectors, found an array of shape {rows.shape}")
        mu = rows.mean(axis=0, dtype=np.float64)
        if not np.isfinite(mu).all():
            raise DataError("some features are not finite")
        sigma = np.zeros((len(mu), len(mu)))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            centred = rows[start : start + ROWS_AT_ONCE].astype(np.float64) - mu
            sigma += centred.T @ centred
        return cls(mu, sigma / (len(rows) - 1), len(rows), extractor, pipeline, weights_sha256, dataset_sha256)

    def save(self, path: Path) -> None:
        """Write an NPZ with keys mu and sigma, which pytorch-fid and TTUR read, and own keys beside them."""
        texts = {
            name: np.array(getattr(self, name))
            for name in ("extractor", "pipeline", "weights_sha256", "dataset_sha256")
        }
        counts = {} if self.n is None else {"n": np.array(self.n, np.int64)}
        write_archive(path, {"mu": self.mu, "sigma": self.sigma, **counts, **texts})

    @classmethod
    def load(cls, path: Path, *, extractor: str = "", pipeline: str = "") -> Statistics:
        """Read an own or a foreign file (mu and sigma suffice; float32 becomes float64; unknown keys are ignored).

        For a foreign file the caller declares `extractor` and `pipeline`; DataError if the file itself says otherwise.
        CorruptFile names the file and what is wrong: missing, misshapen, asymmetric or non-finite arrays, more than
        8192 features, or Python objects.
        """
        with open_archive(path) as archive:
            mu = archive.floats("mu", (None,), MOST_FEATURES)
            sigma = archive.floats("sigma", (len(mu), len(mu)), MOST_FEATURES)
            n = archive.integer("n") if "n" in archive else None
            said = {"extractor": extractor, "pipeline": pipeline, "weights_sha256": "", "dataset_sha256": ""}
            for name, declared in said.items():
                written = archive.text(name) if name in archive else ""
                if written and declared and written != declared:
                    raise DataError(f"the {name} of the file is {written!r}, not {declared!r}", where=str(path))
                said[name] = written or declared
            return cls(mu, _covariance(sigma, mu, archive), n, **said)


def _covariance(sigma: NDArray[np.float64], mu: NDArray[np.float64], archive: Archive) -> NDArray[np.float64]:
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise archive.corrupt("mu or sigma holds values that are not finite")
    if (sigma.diagonal() < 0).any():
        raise archive.corrupt("sigma has a negative variance")
    half = sigma / 2
    if np.abs(half - half.T).max() > ASYMMETRY * np.abs(half).max():
        raise archive.corrupt("sigma is not symmetric")
    return half + half.T


def comparable(a: Statistics, b: Statistics) -> None:
    """Refuse (DataError) to compare statistics of different or undeclared extractors, pipelines, weights or sizes.

    One network behind two ways of resizing gives other features, so equal names of the network alone do not suffice.
    """
    for what in ("extractor", "pipeline", "weights_sha256", "dim"):
        left, right = getattr(a, what), getattr(b, what)
        if left != right and not (what == "weights_sha256" and "" in (left, right)):
            raise DataError(
                f"statistics of {what} {left!r} and {right!r} cannot be compared",
                mend="make both with the same extractor and the same pipeline",
            )
    if not (a.extractor and a.pipeline):
        raise DataError(
            "statistics whose extractor or pipeline nobody declared cannot be compared",
            mend="say which extractor and pipeline made the file when loading it",
        )
