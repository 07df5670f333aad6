"""The console: screens in the browser, fed by live data frames and the engine's HTTP API."""
