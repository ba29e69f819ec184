"""The outbox: alerts are recorded, claimed and settled, by answers or by people."""
