"""What is done with virtual runs: many seeds, shrinking, records, ablations."""
