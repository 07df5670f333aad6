"""Files of people: recognised, previewed, read row by row, written in batches that a killed worker takes up again."""
