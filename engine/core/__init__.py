"""Floor 0: what every floor stands on (settings, sessions, facts, errors, clocks, keys) and nothing of the product."""
