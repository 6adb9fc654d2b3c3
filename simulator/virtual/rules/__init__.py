"""What must hold in a virtual run, and what looks at it."""
