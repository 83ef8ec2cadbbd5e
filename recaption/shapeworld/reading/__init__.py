"""From a caption to its claims, and from claims to what is true and what is missing."""
