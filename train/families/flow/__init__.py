"""A rectified-flow diffusion transformer, the default family."""
