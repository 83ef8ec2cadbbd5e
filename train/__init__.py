"""Text-to-image training on recaptioned data; to come: see the README's limits."""
