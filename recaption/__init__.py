"""Distributed recaptioning of image data sets on Ray and vLLM."""

__version__ = "0.1.0"

from recaption.engines import torchvision_compat

torchvision_compat.install()
