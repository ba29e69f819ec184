"""What Slack itself asks of the service: that somebody pressed a button of a message."""
