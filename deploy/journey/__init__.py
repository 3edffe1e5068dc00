"""A dossier's journey, read from its traces: what was done when, what it caused, where it waited and who worked."""
