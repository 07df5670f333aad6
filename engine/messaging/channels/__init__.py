"""Providers: each is one file of pure translation. How to ask, how to read the answer, how to understand webhooks."""
