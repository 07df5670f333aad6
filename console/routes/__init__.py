"""The console's own routes beside Panel's: signing in, files to and from the API, probes, static files."""
