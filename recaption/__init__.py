"""Distributed recaptioning of image data sets on Ray and vLLM."""

__version__ = "0.1.0"
