"""The JSON bodies of the API, one module a domain; each body bears an example."""
