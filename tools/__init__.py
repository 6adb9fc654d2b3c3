"""What developers run in this repository; it is not installed with Master."""
