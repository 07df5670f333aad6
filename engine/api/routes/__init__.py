"""One module a domain, each with a `router`; `engine.api.app` lists them."""
