"""Fees, signatures and statements together, over one month."""

from decimal import Decimal

import pytest

from payments import fees, signing, statement


@pytest.fixture
def table():
    return fees.load("debit: 0.2\ncredit: 1.45\n")


def test_a_month_is_written_and_counted(tmp_path, table):
    lines = [f"{card} {fees.fee(table, card, Decimal(100))}" for card in ("debit", "credit", "debit")]
    assert statement.count(statement.write(tmp_path, "2026-10", lines)) == 3


def test_a_statement_can_be_signed(tmp_path):
    path = statement.write(tmp_path, "2026-10", ["debit 0.20"])
    signature = signing.sign(path.read_bytes(), b"key")
    assert signing.verify(path.read_bytes(), b"key", signature)


def test_a_month_cannot_leave_the_folder(tmp_path):
    with pytest.raises(ValueError):
        statement.write(tmp_path, "../2026-10", [])
