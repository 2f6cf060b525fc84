"""The models room: from the pixels of a smear to what may be said of its white cells. Research use only."""
