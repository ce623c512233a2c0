"""Kubernetes quantities: `10Mi`, `50M`, `1500m`, by value.

The grammar is that of k8s.io/apimachinery's resource.Quantity: a signed decimal with a binary (Ki … Ei), decimal
(n, u, m, k … E) or exponent (e3, E3) suffix.
"""

import re
from decimal import Decimal

QUANTITY_PATTERN = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]{1,3}))?$"

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?")
_BINARY = {suffix: Decimal(2) ** (10 * power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {
    suffix: Decimal(10) ** power
    for suffix, power in {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}.items()
}


def parse_quantity(text: str | int | float) -> Decimal:
    """Return the value of a quantity, exactly. Raises ValueError, with an example, for anything else."""
    match = _QUANTITY.fullmatch(str(text))
    if isinstance(text, bool) or match is None:
        raise ValueError(f"{text!r} is not a quantity: write it as 10485760, 10Mi or 10M")
    number, suffix = Decimal(match[1]), match[2]
    if suffix is None:
        return number
    factor = _BINARY.get(suffix) or _DECIMAL.get(suffix)
    return number * factor if factor else number * Decimal(10) ** int(suffix[1:])
