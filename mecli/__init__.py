"""Recognise facial micro-expressions, honestly and fast."""

__version__ = "0.1.0"
