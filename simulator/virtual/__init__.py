"""Virtual time: the real Master and the actors in one process, on a clock that jumps."""
