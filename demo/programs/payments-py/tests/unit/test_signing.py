import pytest

from payments import signing


def test_a_signature_verifies():
    assert signing.verify(b"pay 5", b"key", signing.sign(b"pay 5", b"key"))


def test_another_message_does_not_verify():
    assert not signing.verify(b"pay 9", b"key", signing.sign(b"pay 5", b"key"))


def test_a_signature_is_of_256_bits():
    assert len(signing.sign(b"", b"key")) == 64


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PAYMENTS_BANK_KEY", "from the vault")
    assert signing.key() == b"from the vault"


def test_no_key_is_an_error(monkeypatch):
    monkeypatch.delenv("PAYMENTS_BANK_KEY", raising=False)
    with pytest.raises(KeyError):
        signing.key()
