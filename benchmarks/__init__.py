"""What the product costs and how fast it is, measured: one command each, run by `make bench-…`."""
