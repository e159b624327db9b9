"""Vector stores: what implements ``askai.types.VectorStore``."""
