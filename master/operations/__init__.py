"""What Master does when asked: load, decide, keep, announce. One file per noun."""
