"""Access: how those who ask show who they are."""
