from decimal import Decimal

import pytest

from payments import fees

TABLE = fees.load("debit: 0.2\ncredit: 1.45\n")


def test_a_table_is_read():
    assert fees.load("debit: 0.2\n") == {"debit": Decimal("0.2")}


def test_an_empty_table_is_no_error():
    assert fees.load("") == {}


@pytest.mark.parametrize(
    ("card", "amount", "expected"),
    [("debit", "10.00", "0.02"), ("credit", "10.00", "0.14"), ("credit", "30.00", "0.44"), ("debit", "0.00", "0.00")],
)
def test_a_fee_is_rounded_half_to_even(card, amount, expected):
    assert fees.fee(TABLE, card, Decimal(amount)) == Decimal(expected)


def test_an_unknown_card_is_refused():
    with pytest.raises(fees.UnknownCard):
        fees.fee(TABLE, "gift", Decimal(1))
