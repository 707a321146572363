# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities (`500m`, `3.5Gi`, `1e9`) → whole millicores and bytes.

The grammar is Kubernetes' own (apimachinery, resource.Quantity): a signed decimal number, then
a binary suffix, a decimal suffix, or an exponent. Like there, fractions are rounded up: a service
never gets less room than it asked for. Called by `oscar`. Next: `model`.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?",
    re.ASCII,
)
_SCALE = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SCALE |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)}
_SCALE |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
# Quantities beyond int64 are capped by Kubernetes; a larger exponent is a typing error.
_LARGEST_EXPONENT = 18


def parse_quantity(text: str) -> Decimal:
    """The exact value of a quantity. Raises ValueError, naming the text, if it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity such as 500m, 2, 3500Mi or 1.5Gi")
    number, exponent, suffix = match.groups()
    if exponent:
        power = int(exponent[1:])
        if abs(power) > _LARGEST_EXPONENT:
            raise ValueError(f"{text!r} is out of the range of Kubernetes quantities")
        return Decimal(number).scaleb(power)
    return Decimal(number) * _SCALE.get(suffix, Decimal(1))


def parse_millicores(text: str) -> int:
    """CPU in thousandths of a core, rounded up."""
    return int((parse_quantity(text) * 1000).to_integral_value(ROUND_CEILING))


def parse_bytes(text: str) -> int:
    """Memory in bytes, rounded up."""
    return int(parse_quantity(text).to_integral_value(ROUND_CEILING))
