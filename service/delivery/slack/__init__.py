"""One message for Slack: written, posted once, and its answer classified."""
