"""The independent record of a run, and the rules that Master must keep."""
