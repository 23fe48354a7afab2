"""Generators, critics and classifiers: one file per family."""
