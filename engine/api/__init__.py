"""The HTTP door: parses, calls one service function, presents. It decides nothing."""
