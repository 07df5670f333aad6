"""Channels, conversations, templates and the ledger of all that goes out; promises at most one send per message."""
