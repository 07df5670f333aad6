"""People who are written to: their identities, tags, fields, consent and imports; they ask nothing of the floors above."""
