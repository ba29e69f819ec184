"""What the service says of itself: events, log lines, and what must never be in them."""
