"""Invitation links of a customer portal."""
