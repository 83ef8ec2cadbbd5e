"""Text-to-image training on recaptioned data: so far the choice of caption and crop."""
