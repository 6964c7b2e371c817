"""The table of fees, as YAML written by the product team."""

from decimal import ROUND_HALF_EVEN, Decimal

import yaml


class UnknownCard(Exception):
    """The table has no fee for this kind of card."""


def load(text: str) -> dict[str, Decimal]:
    """Reads the table: a percentage for each kind of card."""
    table = yaml.safe_load(text) or {}
    return {str(card): Decimal(str(percent)) for card, percent in table.items()}


def fee(table: dict[str, Decimal], card: str, amount: Decimal) -> Decimal:
    """The fee for an amount, rounded half to even."""
    if card not in table:
        raise UnknownCard(card)
    return (amount * table[card] / 100).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
