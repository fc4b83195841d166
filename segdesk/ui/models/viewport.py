"""Which part of a slice a view shows, at which magnification."""

from __future__ import annotations

from dataclasses import dataclass, replace

FIT_MARGIN = 0.96
"""A fitted slice fills this part of the view, so that its border is seen."""

MIN_SCREEN_PX_PER_MM = 0.02
MAX_SCREEN_PX_PER_MM = 400.0


@dataclass(frozen=True, slots=True)
class Viewport:
    """A map between pixels of a slice (row, column) and the screen (x, y).

    Parameters
    ----------
    pixel_spacing_mm : tuple of float
        Height and width of a slice pixel.
    scale : float
        Screen pixels per mm.
    offset_xy : tuple of float
        Screen position of the centre of pixel (0, 0).
    """

    pixel_spacing_mm: tuple[float, float]
    scale: float = 1.0
    offset_xy: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def fitted(
        cls, shape_px: tuple[int, int], pixel_spacing_mm: tuple[float, float], screen_wh: tuple[float, float]
    ) -> Viewport:
        """Return the viewport that shows a whole slice in the middle of a screen."""
        (rows, columns), (height_mm, width_mm) = shape_px, pixel_spacing_mm
        width, height = screen_wh
        scale = FIT_MARGIN * min(width / max(columns * width_mm, 1e-9), height / max(rows * height_mm, 1e-9))
        scale = _limited(scale)
        x = width / 2 - (columns - 1) / 2 * width_mm * scale
        y = height / 2 - (rows - 1) / 2 * height_mm * scale
        return cls(pixel_spacing_mm, scale, (x, y))

    @property
    def pixel_wh(self) -> tuple[float, float]:
        """Width and height of a slice pixel on the screen."""
        height_mm, width_mm = self.pixel_spacing_mm
        return width_mm * self.scale, height_mm * self.scale

    def to_screen(self, row: float, column: float) -> tuple[float, float]:
        """Return the screen position of a slice position."""
        width, height = self.pixel_wh
        return self.offset_xy[0] + column * width, self.offset_xy[1] + row * height

    def to_pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the (row, column) under a screen position."""
        width, height = self.pixel_wh
        return (y - self.offset_xy[1]) / height, (x - self.offset_xy[0]) / width

    def zoomed(self, factor: float, at_xy: tuple[float, float]) -> Viewport:
        """Return a viewport magnified by `factor` in which the point under `at_xy` stays."""
        scale = _limited(self.scale * factor)
        ratio = scale / self.scale
        (x, y), (at_x, at_y) = self.offset_xy, at_xy
        return replace(self, scale=scale, offset_xy=(at_x + (x - at_x) * ratio, at_y + (y - at_y) * ratio))

    def panned(self, dx: float, dy: float) -> Viewport:
        """Return a viewport moved by screen pixels."""
        x, y = self.offset_xy
        return replace(self, offset_xy=(x + dx, y + dy))


def _limited(scale: float) -> float:
    return min(max(scale, MIN_SCREEN_PX_PER_MM), MAX_SCREEN_PX_PER_MM)


def scale_bar(scale: float, widest_px: float) -> tuple[float, float]:
    """Return length in mm (1, 2 or 5 times a power of ten) and width on screen of a scale bar.

    Parameters
    ----------
    scale : float
        Screen pixels per mm.
    widest_px : float
        The bar is not wider than this.
    """
    room_mm = widest_px / scale
    power = 1e-6
    while power * 10 <= room_mm:
        power *= 10
    length_mm = max(step * power for step in (1, 2, 5) if step * power <= room_mm * (1 + 1e-9) or step == 1)
    return length_mm, length_mm * scale
