"""Runs, the outbox, and the status of every alert, in one database; the door is `store.Store`."""
