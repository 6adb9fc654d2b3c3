"""What really happened, and what must hold of it."""
