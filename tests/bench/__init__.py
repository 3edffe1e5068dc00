"""Figures: ours beside the limit and the alternative, in one run on one machine. Each figure is one file."""
