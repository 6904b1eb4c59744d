"""The size at which a checkpoint's processor gives pictures to its model."""

from typing import Any

import numpy as np
from PIL.Image import Image

from catts.errors import EngineError, ModelSpecError


def seen_size(image: Image, processor: Any) -> tuple[int, int]:
    """Width and height in pixels that the processor scales `image` to, the one of its turn.

    Where it cuts the picture into tiles it is the size of all tiles together, without what is
    filled up around the picture; a smaller overview, which such models see besides, is left out.
    It is told by the grid of patches (`image_grid_thw`), the rows and columns of tiles, or the one
    array of pixels that is made; a processor that tells nothing of its tiles leaves the image's
    own. That of Qwen-VL, InternVL and LLaVA compute the size without touching a pixel, so nothing
    is processed for it.

    Raises:
        EngineError: the processor refuses the image, such as one that is 200 times as long as high.
    """
    vision = processor.image_processor
    options = getattr(processor, "images_kwargs", {})  # what it is asked for besides, every time
    try:
        for computed in (
            _qwen_size(image.size, vision),
            _cropped_size(image.size, vision, options),
            _anyres_size(image.size, vision),
        ):
            if computed is not None:
                return computed
        made = vision(images=[image.convert("RGB")], return_tensors="pt", **options)
    except ValueError as error:
        raise EngineError(f"the processor refuses the picture: {error}") from error
    if "image_grid_thw" in made:
        _, rows, columns = made["image_grid_thw"][0].tolist()
        return columns * vision.patch_size, rows * vision.patch_size
    pixels = made.get("pixel_values")
    if "rows" in made and "cols" in made:
        # no rows and columns: the picture is one tile
        rows, columns = (max(1, int(made[name][0][0])) for name in ("rows", "cols"))
        return columns * pixels.shape[-1], rows * pixels.shape[-2]
    # tiles and crops are no single size; their shape has more than four dimensions or rows
    one = getattr(pixels, "ndim", 0) == 4 and pixels.shape[:2] == (1, 3)
    return (pixels.shape[3], pixels.shape[2]) if one else image.size


def _qwen_size(size: tuple[int, int], vision: Any) -> tuple[int, int] | None:
    """What `seen_size` is by the rule of Qwen-VL's own processor; None of any other, its kin too.

    Raises:
        ValueError: the processor refuses an image of that size.
    """
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import (
        Qwen2VLImageProcessor,
        smart_resize,
    )

    if type(vision) is not Qwen2VLImageProcessor or not vision.do_resize:
        return None
    width, height = size
    factor = vision.patch_size * vision.merge_size
    least, most = vision.size["shortest_edge"], vision.size["longest_edge"]
    rows, columns = smart_resize(height, width, factor, min_pixels=least, max_pixels=most)
    return columns, rows


def _cropped_size(
    size: tuple[int, int], vision: Any, options: dict[str, Any]
) -> tuple[int, int] | None:
    """What `seen_size` is by the rule of InternVL's processor; None of any other."""
    from transformers.models.got_ocr2.image_processing_got_ocr2 import (
        GotOcr2ImageProcessor,
        get_optimal_tiled_canvas,
    )

    if not isinstance(vision, GotOcr2ImageProcessor):
        return None
    tile = vision.size["height"], vision.size["width"]
    if not options.get("crop_to_patches", vision.crop_to_patches):
        return tile[1], tile[0]
    columns, rows = get_optimal_tiled_canvas(
        (size[1], size[0]), tile, vision.min_patches, vision.max_patches
    )
    return columns * tile[1], rows * tile[0]


def _anyres_size(size: tuple[int, int], vision: Any) -> tuple[int, int] | None:
    """What `seen_size` is where one of several grids of tiles is chosen (LLaVA); else None."""
    from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
    from transformers.image_utils import ChannelDimension

    grids = getattr(vision, "image_grid_pinpoints", None)
    if grids is None:
        return None
    pixels = np.broadcast_to(np.uint8(0), (size[1], size[0], 3))  # of which only the shape is read
    grid = select_best_resolution((size[1], size[0]), grids)
    rows, columns = get_patch_output_size(pixels, grid, ChannelDimension.LAST)
    return columns, rows


def limit_pixels(processor: Any, max_pixels: int) -> None:
    """Let the processor scale larger pictures down to at most `max_pixels` (width times height).

    Raises:
        ModelSpecError: it scales pictures in another way, or never to so few pixels.
    """
    vision = processor.image_processor
    if "max_pixels" not in vision.valid_kwargs.__annotations__:
        raise ModelSpecError(
            f"{type(vision).__name__} scales pictures without a max_pixels: leave it out"
        )
    least = vision.size["shortest_edge"]
    if max_pixels < least:
        raise ModelSpecError(f"max_pixels is {max_pixels}: this model sees at least {least} pixels")
    vision.size |= {"longest_edge": max_pixels}
