"""The Graph API but for sends: one module per kind of object, one table of routes."""
