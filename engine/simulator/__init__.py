"""A stand-in for Meta's WhatsApp Cloud API with phones that deliver, read and answer.

It is a server of its own (`uvicorn engine.simulator.app:app`), keeps its state in one SQLite file and knows
nothing of the product but two settings. See docs/simulator.md.
"""
