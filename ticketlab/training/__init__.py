"""Objectives, loops, and the state that makes resuming exact."""
