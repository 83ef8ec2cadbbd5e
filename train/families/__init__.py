"""Families of text-to-image models, one folder each."""
