# SPDX-License-Identifier: Apache-2.0
"""Units: Kubernetes quantities as numbers, and numbers as text for people.

The grammar of quantities (`500m`, `3.5Gi`, `1e9`) is that of Kubernetes (apimachinery,
resource.Quantity): a signed decimal number, then a binary suffix, a decimal suffix, or an
exponent. As there, fractions are rounded up: a service never gets less than it asked for.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

from .errors import clean_text

_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?",
    re.ASCII,
)
_SCALE = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SCALE |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)}
_SCALE |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
# Kubernetes limits quantities to int64; a larger exponent is a mistake of the author.
_LARGEST_EXPONENT = 18
_LONGEST = 40
_INT64 = 2**63


def parse_quantity(text: str) -> Decimal:
    """The exact value of a quantity. Raises ValueError, naming the text, if it is none."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
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


def parse_amount(value: str | float) -> int:
    """Parses an amount of a resource in whole units, up to Go's int64. Raises ValueError."""
    amount = int(value)
    if not -_INT64 <= amount < _INT64:
        raise ValueError(f"{clean_text(str(value), _LONGEST)} is not a possible amount")
    return amount


def format_bytes(size_bytes: float) -> str:
    """`3.4 MiB`, `512 MiB`, `2 GiB`; what is not zero is never rounded to zero."""
    if size_bytes < 0:
        return f"-{format_bytes(-size_bytes)}"
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while len(units) > 1 and round(size_bytes, 1) >= 1024:
        size_bytes /= 1024
        del units[0]
    return f"{size_bytes:.1f}".removesuffix(".0") + f" {units[0]}"


def format_cores(cpu_millicores: int) -> str:
    """`1.5 CPU`."""
    return f"{cpu_millicores / 1000:g} CPU"


def format_rate(rate: float) -> str:
    """A number per second with three digits: `0.0421`, `12.3`, `1,520`."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def format_duration(seconds: float) -> str:
    """`23 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
