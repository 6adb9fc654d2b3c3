"""Attacks on a Master of one's own: what each costs it, beside what it may cost."""
