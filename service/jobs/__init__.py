"""Bulk jobs: a file of companies becomes predictions, batch by batch, by whichever instance has the job."""
