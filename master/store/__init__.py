"""Where things are kept: rows <-> records, one file per noun, no decisions."""
