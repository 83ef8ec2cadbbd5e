"""The recogniser: a small convolutional detector trained once on rendered scenes, with its weights.

`training.json` tells how it was trained and how often it is right, by kind of scene.
"""
