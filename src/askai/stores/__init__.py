"""Search of vectors by row number."""
