"""Forecasts of parts and of what they add up to, made to agree: points and paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.forecast.issue import Forecast
from models.series import Values


def bottom_up(leaves: Forecast, groups: dict[str, list[str]]) -> Forecast:
    """The forecast of each group: the sum of its leaves, for the points and path by path.

    `groups` are the uids of the leaves by the name of a group; a leaf may be in several (team, model, total), so that
    team x model adds up whichever way it is summed. A group with a leaf without a forecast has none. The scale and
    the history of a sum are not those of its leaves: errors of a sum are to be taken from the sum.
    """
    row = {uid: number for number, uid in enumerate(leaves.uids)}
    members = [[row[uid] for uid in uids] for uids in groups.values()]
    point = np.stack([leaves.point[rows].sum(axis=0) for rows in members])
    paths = np.stack([leaves.paths[rows].sum(axis=0) for rows in members])
    notes = [
        "; ".join(f"{leaves.uids[one]}: {leaves.notes[one]}" for one in rows if leaves.notes[one]) for rows in members
    ]
    return replace(
        leaves,
        uids=list(groups),
        point=point,
        paths=paths,
        notes=notes,
        scale=np.array([leaves.scale[rows].sum() for rows in members]),
        history_days=np.array([leaves.history_days[rows].max() for rows in members]),
    )


def summing_matrix(leaves: list[str], groups: dict[str, list[str]]) -> Values:
    """Which leaves each group adds up, (groups, leaves), of zeros and ones."""
    column = {uid: number for number, uid in enumerate(leaves)}
    matrix = np.zeros((len(groups), len(leaves)))
    for row, uids in enumerate(groups.values()):
        matrix[row, [column[uid] for uid in uids]] = 1.0
    return matrix


def min_trace(
    groups: Values, leaf_paths: Values, group_paths: Values, leaf_errors: Values, group_errors: Values
) -> tuple[Values, Values]:
    """Paths of leaves (n, S, h) and groups (m, S, h) that add up and are not negative, nearest to those given.

    MinTrace with a covariance of the base forecasts' errors shrunk to its diagonal (Wickramasuriya, Athanasopoulos and
    Hyndman 2019; shrinkage of Schaefer and Strimmer 2005), sample s with sample s; what stays negative is solved again
    by non-negative least squares. `groups` (m, n) is the summing matrix, errors are (k, n) and (k, m), one row for each
    earlier day, in the unit of the series.
    """
    from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]
    from scipy.optimize import nnls  # type: ignore[import-untyped]

    n = leaf_paths.shape[0]
    summing = np.vstack([groups, np.eye(n)])
    inverse = np.linalg.inv(_shrunk(np.hstack([group_errors, leaf_errors])))
    base = np.concatenate([group_paths, leaf_paths]).reshape(len(summing), -1)
    factor = cho_factor(summing.T @ inverse @ summing)
    leaves = cho_solve(factor, summing.T @ inverse @ base)
    negative = np.flatnonzero((leaves < 0).any(axis=0))
    if len(negative):
        root = np.linalg.cholesky(inverse).T
        for column in negative:
            leaves[:, column] = nnls(root @ summing, root @ base[:, column])[0]
    found = leaves.reshape(leaf_paths.shape)
    return found, np.tensordot(groups, found, axes=1)


def _shrunk(errors: Values) -> Values:
    """The covariance of `errors` (k, p) with its correlations shrunk towards 0 by the estimated best intensity."""
    count = len(errors)
    deviation = errors.std(axis=0)
    deviation = np.where(deviation > 0, deviation, max(float(deviation.mean()), 1.0) * 1e-6)
    standard = (errors - errors.mean(axis=0)) / deviation
    correlation = standard.T @ standard / count
    squares = standard**2
    variance = (squares.T @ squares - count * correlation**2) / (count * max(count - 1, 1))
    outside = ~np.eye(len(correlation), dtype=bool)
    spread = float((correlation[outside] ** 2).sum())
    intensity = min(1.0, max(0.0, float(variance[outside].sum()) / spread)) if spread > 0 else 1.0
    shrunk = np.where(outside, (1.0 - intensity) * correlation, 1.0)
    return np.asarray(shrunk * np.outer(deviation, deviation))
