/**
 * Cutting a square out of a picture: the frame shows the part of the picture
 * around a centre, the smaller the greater the zoom. Numbers are parts of the
 * picture's shorter side, so that they hold for any size on the screen.
 */
export interface Crop {
  /** The centre, 0 to 1 of the picture's width and height. */
  x: number;
  y: number;
  /** 1: as much as fits; up to maxZoom. */
  zoom: number;
}

export const maxZoom = 4;
export const wholeCrop: Crop = { x: 0.5, y: 0.5, zoom: 1 };

export interface Size {
  width: number;
  height: number;
}

/** The side of the square in the picture's own pixels. */
const sideOf = ({ width, height }: Size, zoom: number) => Math.min(width, height) / zoom;

/** The nearest crop that stays within the picture. */
export function within(size: Size, { x, y, zoom }: Crop): Crop {
  const z = Math.min(maxZoom, Math.max(1, zoom));
  const half = sideOf(size, z) / 2;
  const clamp = (v: number, length: number) => Math.min(1 - half / length, Math.max(half / length, v));
  return { x: clamp(x, size.width), y: clamp(y, size.height), zoom: z };
}

/** Moves the picture under the frame by parts of the frame's side: right and down are positive. */
export function moved(size: Size, crop: Crop, dx: number, dy: number): Crop {
  const side = sideOf(size, crop.zoom);
  return within(size, { ...crop, x: crop.x - (dx * side) / size.width, y: crop.y - (dy * side) / size.height });
}

/** The square in the picture's own pixels. */
export function squareOf(size: Size, crop: Crop): { x: number; y: number; side: number } {
  const side = sideOf(size, crop.zoom);
  return { x: crop.x * size.width - side / 2, y: crop.y * size.height - side / 2, side };
}
