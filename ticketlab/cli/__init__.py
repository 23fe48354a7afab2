"""Typer commands, thin: parse, call the public API, print."""
