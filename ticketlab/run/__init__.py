"""Executing the steps of a plan: store, resume, executors."""
