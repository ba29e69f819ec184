"""From the outbox to Slack: routed, paced, posted, and classified."""
