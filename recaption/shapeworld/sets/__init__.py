"""Sets of rendered images as files: samples, shards, the layouts of other data sets."""
