"""Statements of what produced what, in a hash chain."""
