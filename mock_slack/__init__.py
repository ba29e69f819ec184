"""A stand-in for Slack incoming webhooks: faithful, scriptable, for tests, demos and load."""
