"""One small module for each family of files; ``kinds`` lists them all, ``extractor`` runs them.

Imports run downwards: extractor → protocol; worker → dispatch → the families → packages, markup,
plain → kinds. Everything but plain text is parsed in a child process, so the libraries of the
families are imported there alone.
"""
