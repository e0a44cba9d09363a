"""Fits costs to measurements by least squares of relative errors; pure.

A cost cannot be negative. If the best fit has negative costs, the term whose negative contribution is largest is left
out, and the rest is fitted again. A term that is left out costs nothing in the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_RIDGE = 1e-9
"""Keeps the equations solvable if two terms occur only together: they then share their cost."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement: how much of each term it has, and what all of it cost together, above 0."""

    amounts: Mapping[str, float]
    cost: float


def fit(rows: Sequence[Row], terms: Sequence[str]) -> dict[str, float]:
    """The cost of one of each term; terms without a measurable cost are 0. Raises ValueError without rows."""
    if not rows:
        raise ValueError("there is nothing to fit")
    # The mean relative contribution of a term, by which terms of different size can be compared.
    scales = {term: sum(row.amounts.get(term, 0.0) / row.cost for row in rows) / len(rows) for term in terms}
    left = [term for term in terms if scales[term] > 0]
    while left:
        scaled = [[row.amounts.get(term, 0.0) / row.cost / scales[term] for term in left] for row in rows]
        solution = _least_squares(scaled)
        lowest = min(range(len(left)), key=solution.__getitem__)
        if solution[lowest] >= 0:
            costs = dict(zip(left, solution, strict=True))
            return {term: costs[term] / scales[term] if term in costs else 0.0 for term in terms}
        del left[lowest]
    return dict.fromkeys(terms, 0.0)


def _least_squares(rows: Sequence[Sequence[float]]) -> list[float]:
    """The vector x that minimises the sum of (row . x - 1)**2, by the normal equations."""
    size = len(rows[0])
    matrix = [
        [sum(row[i] * row[j] for row in rows) + (_RIDGE * len(rows) if i == j else 0.0) for j in range(size)]
        + [sum(row[i] for row in rows)]
        for i in range(size)
    ]
    return _solve(matrix)


def _solve(matrix: list[list[float]]) -> list[float]:
    """Gauss's elimination with pivoting; each row ends with its right side. The matrix is changed."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                for position in range(column, size + 1):
                    matrix[row][position] -= factor * matrix[column][position]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]
