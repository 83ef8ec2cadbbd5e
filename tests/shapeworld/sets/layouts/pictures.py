"""What the images of a layout must be: JPEGs that PIL reads, the very bytes of the scene."""

import io

from PIL import Image

from recaption.shapeworld.render import encode
from recaption.shapeworld.scenes import Scene


def shows(data: bytes, scene: Scene, size: int = 48) -> bool:
    """Tell whether a file is the picture of a scene."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image.format == "JPEG" and data == encode(scene, size, "jpg")
