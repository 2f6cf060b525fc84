"""Painted smears: red cells, white cells and platelets of known place and size, where no real data is at hand."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from models.crops import RgbImage

UM_PER_PX = 0.08
GLASS = (205, 208, 202)
RED = (196, 160, 158)
PALE_RED = (200, 182, 176)
NUCLEUS = (96, 68, 178)
CYTOPLASM = (178, 158, 200)

Point = tuple[int, int]


def glass(width: int = 640, height: int = 480) -> RgbImage:
    """An empty field with a little noise."""
    noise = np.random.default_rng(1).normal(0, 2, (height, width, 3))
    return np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)


def disc(image: RgbImage, centre: Point, diameter_um: float, colour: tuple[int, int, int]) -> None:
    """A filled disc of a diameter in um."""
    cv2.circle(image, centre, round(diameter_um / UM_PER_PX / 2), colour, -1, cv2.LINE_AA)


def red_cells(image: RgbImage, keep_clear: tuple[Point, ...] = ()) -> None:
    """Red cells of 7.5 um on a loose grid, with pale centres; none within 10 um of the points kept clear."""
    rng = np.random.default_rng(2)
    for y in range(60, image.shape[0] - 40, 118):
        for x in range(60, image.shape[1] - 40, 118):
            at = (x + int(rng.integers(-8, 9)), y + int(rng.integers(-8, 9)))
            if all(np.hypot(at[0] - cx, at[1] - cy) * UM_PER_PX > 11 for cx, cy in keep_clear):
                disc(image, at, 7.5, RED)
                disc(image, at, 2.5, PALE_RED)


def white_cell(image: RgbImage, centre: Point, cell_um: float = 12, nucleus_um: float = 8) -> None:
    """A white cell with one round nucleus."""
    disc(image, centre, cell_um, CYTOPLASM)
    disc(image, centre, nucleus_um, NUCLEUS)


def lobed_cell(image: RgbImage, centre: Point) -> None:
    """A neutrophil of 13 um: three lobes joined by threads."""
    disc(image, centre, 13, CYTOPLASM)
    lobes = [(centre[0] + dx, centre[1] + dy) for dx, dy in ((-32, -20), (30, -24), (0, 36))]
    for one, other in pairwise(lobes):
        cv2.line(image, one, other, NUCLEUS, 4, cv2.LINE_AA)
    for lobe in lobes:
        disc(image, lobe, 3.8, NUCLEUS)


def smear(*white: Point) -> RgbImage:
    """A field of red cells with a white cell at each point."""
    image = glass()
    red_cells(image, keep_clear=white)
    for centre in white:
        white_cell(image, centre)
    return image


def jpeg(image: RgbImage, quality: int = 92) -> bytes:
    """The image as a JPEG."""
    done, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return content.tobytes()


def cell_on_black(diameter_px: int = 200, colour: tuple[int, int, int] = (92, 48, 96)) -> RgbImage:
    """One cell cut out on black, as in C-NMC: 450x450."""
    image = np.zeros((450, 450, 3), np.uint8)
    cv2.circle(image, (225, 225), diameter_px // 2, colour, -1)
    return image


def png(image: RgbImage) -> bytes:
    """The image without loss."""
    done, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return content.tobytes()
