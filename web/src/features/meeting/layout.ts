/** How many columns and rows make the tiles of a grid largest. */
export interface GridShape {
  columns: number;
  rows: number;
}

/**
 * Fits count tiles of the given aspect into a box. Tiles may be cropped to the
 * cell, so the best shape is the one whose cells hold the largest whole tile.
 */
export function gridShape(count: number, width: number, height: number, aspect = 16 / 9, gap = 8): GridShape {
  let best: GridShape = { columns: 1, rows: Math.max(1, count) };
  let bestArea = -1;
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    const tileWidth = Math.min(cellWidth, cellHeight * aspect);
    const area = tileWidth * (tileWidth / aspect);
    if (area > bestArea) {
      bestArea = area;
      best = { columns, rows };
    }
  }
  return best;
}
