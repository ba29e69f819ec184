"""Slack's Web API as a bot uses it: it posts, changes and reads messages, and asks who somebody is."""
