"""The protocol dictionary: which standard exam each scanner protocol is, so that doses can be compared."""
