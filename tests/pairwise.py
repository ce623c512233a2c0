"""Tables of cases in which every two values of different columns meet, without every combination."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

Case = dict[str, Any]


def pair_up(columns: Mapping[str, Sequence[Any]]) -> list[Case]:
    """Return cases, one value a column, that hold every pair of values of two columns at least once.

    Greedy: each case is made to hold as many pairs as it can that no case before it holds.
    """
    missing = {
        frozenset({(first, i), (second, j)})
        for first, second in combinations(columns, 2)
        for i, j in product(range(len(columns[first])), range(len(columns[second])))
    }
    cases = []
    while missing:
        chosen = dict(sorted(min(missing, key=sorted)))
        for column in sorted(set(columns) - set(chosen)):
            chosen[column] = max(range(len(columns[column])), key=lambda i: _count_new(missing, chosen, column, i))
        missing -= {frozenset(pair) for pair in combinations(chosen.items(), 2)}
        cases.append({column: columns[column][i] for column, i in chosen.items()})
    return cases


def _count_new(missing: set[frozenset[tuple[str, int]]], chosen: Mapping[str, int], column: str, value: int) -> int:
    return sum(frozenset({pair, (column, value)}) in missing for pair in chosen.items())
