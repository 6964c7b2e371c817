"""Charges cards by a table of fees and signs what it sends."""
