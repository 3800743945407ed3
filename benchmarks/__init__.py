"""What the service costs on this machine, measured from outside; `python -m benchmarks`."""
