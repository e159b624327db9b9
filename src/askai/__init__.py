"""Answers questions from local Chinese articles, every answer with verbatim cited excerpts."""
