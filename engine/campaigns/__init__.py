"""One blast to a frozen audience, which can be paused, resumed and cancelled at any moment, and always adds up."""
