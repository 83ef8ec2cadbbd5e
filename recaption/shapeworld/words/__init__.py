"""The words of the world's languages, and what they mean."""
