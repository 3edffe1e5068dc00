"""A recorded event log, sent through the front door as history: read it whole, plan it, send it, without doubling."""
