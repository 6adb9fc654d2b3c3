"""The invariants of a virtual run, and the code that checks them."""
