"""Pressed buttons: what stands under a message, who pressed it, and how Slack's request is known."""
