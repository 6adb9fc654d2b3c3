"""Storage: rows <-> records, one file per noun, no decisions."""
