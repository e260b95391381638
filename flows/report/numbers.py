"""How a number is printed: one place, so that every page rounds alike."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
WITHHELD = "withheld"


def count(n: int | None) -> str:
    """A disclosed count with thin spaces between thousands; None is "withheld".

    >>> count(1204).replace(THIN, "_"), count(None)
    ('1_204', 'withheld')
    """
    return WITHHELD if n is None else f"{n:,}".replace(",", THIN)


def counted(n: int | None, one: str, many: str) -> str:
    """A count with its noun.

    >>> counted(1, "set", "sets"), counted(None, "set", "sets")
    ('1 set', 'sets: withheld')
    """
    if n is None:
        return f"{many}: {WITHHELD}"
    return f"{count(n)} {one if n == 1 else many}"


def fixed(x: float, decimals: int = 2) -> str:
    """A number with a true minus sign, never "-0.00".

    >>> fixed(-0.456), fixed(-0.001), fixed(2.5, 1)
    ('−0.46', '0.00', '2.5')
    """  # noqa: RUF002 the minus sign is meant
    text = f"{x:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(x: float, decimals: int = 2) -> str:
    """Like `fixed`, with a plus sign when above zero.

    >>> signed(0.09), signed(-0.09), signed(0.001)
    ('+0.09', '−0.09', '0.00')
    """  # noqa: RUF002 the minus sign is meant
    text = fixed(x, decimals)
    return f"+{text}" if float(text.replace(MINUS, "-")) > 0 else text


def compact(x: float | None) -> str:
    """A measured figure in whatever unit: whole if whole, else up to three decimals.

    >>> compact(0.0834), compact(63.0), compact(None), compact(-12.5), compact(0.00004)
    ('0.083', '63', '', '−12.5', '0.00004')
    """  # noqa: RUF002 the minus sign is meant
    if x is None:
        return ""
    if x != 0 and abs(x) < 0.001:
        return f"{x:.5f}".rstrip("0").replace("-", MINUS) if abs(x) >= 0.000005 else "0.00001 or less"
    text = f"{x:.3f}".rstrip("0").rstrip(".") if abs(x) < 1000 else f"{x:,.0f}".replace(",", THIN)
    return text.replace("-", MINUS)


def percent(share: float | None) -> str:
    """A share between 0 and 1 as a percentage, one decimal only below 1%.

    >>> percent(0.314), percent(0.004), percent(0.0), percent(None), percent(0.9996)
    ('31%', '0.4%', '0%', 'withheld', '99.96%')
    """
    if share is None:
        return WITHHELD
    for decimals in (0, 1, 2):
        text = f"{100 * share:.{decimals}f}"
        if share in (0, 1) or 0 < float(text) < 100:
            return f"{text}%"
    return "under 0.01%" if share < 0.5 else "over 99.99%"


def hundreds(*shares: float) -> tuple[str, ...]:
    """How many of 100, without signs: whole, or with one decimal when whole numbers would hide a difference.

    >>> hundreds(0.314, 0.224, -0.09), hundreds(0.086, 0.091), hundreds(0.004, 0.12), hundreds(0.0002, 0.0)
    (('31', '22', '9'), ('8.6', '9.1'), ('0.4', '12.0'), ('less than 0.1', '0.0'))
    """
    sizes = [100 * share for share in shares]
    vague = len({f"{size:.0f}" for size in sizes}) < len(set(sizes)) or any(0 < abs(size) < 0.95 for size in sizes)
    decimals = 1 if vague else 0
    return tuple(_size(size, decimals) for size in sizes)


def points(x: float) -> str:
    """The size of a difference on the rating scale, without its sign.

    >>> points(-0.456), points(0.002), points(0.0)
    ('0.46', 'less than 0.01', '0.00')
    """
    return _size(x, 2)


def _size(x: float, decimals: int) -> str:
    text = f"{abs(x):.{decimals}f}"
    return f"less than {10**-decimals:.{decimals}f}" if x != 0 and float(text) == 0 else text


def capitalised(text: str) -> str:
    """The text with its first letter large and the rest as it was.

    >>> capitalised("after a home visit (PHQ)")
    'After a home visit (PHQ)'
    """
    return text[:1].upper() + text[1:]
