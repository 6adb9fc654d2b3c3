"""Tools around virtual runs: many seeds, shrinking, records, ablations."""
