"""The outbox: recorded, claimed, settled, and settled by people."""
