"""Signed invitations that expire."""

from itsdangerous import BadSignature, URLSafeTimedSerializer

WEEK = 7 * 24 * 3600


def make(secret: str, guest: str) -> str:
    return URLSafeTimedSerializer(secret, salt="invite").dumps(guest)


def read(secret: str, token: str, max_age: int = WEEK) -> str | None:
    """The guest an invitation is for, or nothing if it is forged or expired."""
    try:
        return URLSafeTimedSerializer(secret, salt="invite").loads(token, max_age=max_age)
    except BadSignature:
        return None
