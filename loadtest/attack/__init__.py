"""Attacks on a Master of its own: the cost of each, beside its budget."""
