"""Plots, tables, sample grids."""
