"""Text-to-image training on recaptioned data: so far the choice of caption and crop."""

import recaption as recaption  # mends what torchvision lacks, see recaption/__init__.py
