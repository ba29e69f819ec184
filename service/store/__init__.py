"""What is written down: runs, the outbox, and what has become of every alert. The door is `store.Store`."""
