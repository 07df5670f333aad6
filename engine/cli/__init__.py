"""The operator's door: the `masteria` command, and the one supervisor that runs everything on one machine."""
