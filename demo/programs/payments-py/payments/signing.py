"""Signs messages to the bank."""

import hashlib
import hmac
import os


def key() -> bytes:
    """The key shared with the bank, from the environment."""
    return os.environ["PAYMENTS_BANK_KEY"].encode()


def sign(message: bytes, secret: bytes) -> str:
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def verify(message: bytes, secret: bytes, signature: str) -> bool:
    return hmac.compare_digest(sign(message, secret), signature)
