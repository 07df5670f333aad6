"""Rollups and questions about what happened; reads everything below, and no domain imports it."""
