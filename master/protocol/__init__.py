"""What travels: payload types of every event and route, their limits, and their encoding."""
