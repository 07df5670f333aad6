"""A door on the roof: time and work. Celery rings; what is due stands in PostgreSQL, so a lost bell loses nothing."""
