"""A world whose content is exactly known: drawn scenes, their pictures, captions and shards."""
