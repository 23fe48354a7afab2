"""Masks and how they are drawn: score x scope x schedule x rewind, and the controls."""
