"""The size at which a checkpoint's processor gives pictures to its model."""

from typing import Any

from PIL.Image import Image

from catts.errors import EngineError, ModelSpecError


def seen_size(image: Image, processor: Any) -> tuple[int, int]:
    """Width and height in pixels that the processor scales `image` to.

    It is told by the grid of patches (`image_grid_thw`), or by the one array of pixels that is
    made; a processor that makes several tiles tells no size: then it is the image's own. That of
    Qwen-VL computes the size without touching a pixel, so nothing is processed for it.

    Raises:
        EngineError: the processor refuses the image, such as one that is 200 times as long as high.
    """
    vision = processor.image_processor
    try:
        computed = _qwen_size(image.size, vision)
        if computed is not None:
            return computed
        made = vision(images=[image.convert("RGB")], return_tensors="pt")
    except ValueError as error:
        raise EngineError(f"the processor refuses the picture: {error}") from error
    if "image_grid_thw" not in made:
        pixels = made.get("pixel_values")
        # tiles and crops are no single size; their shape has more than four dimensions or rows
        one = getattr(pixels, "ndim", 0) == 4 and pixels.shape[:2] == (1, 3)
        return (pixels.shape[3], pixels.shape[2]) if one else image.size
    _, rows, columns = made["image_grid_thw"][0].tolist()
    return columns * vision.patch_size, rows * vision.patch_size


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
