"""What people see of a run: tables, a live view, plots."""
