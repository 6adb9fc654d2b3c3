"""What should happen: pure functions over frozen records, with `now` passed in."""
