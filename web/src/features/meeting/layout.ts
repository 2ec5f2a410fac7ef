/** How many columns of tiles of which size make the pictures of a grid largest. */
export interface GridShape {
  columns: number;
  /** Of one tile, in px. */
  width: number;
  height: number;
}

const widest = 16 / 9; // the cameras' own shape; wider would cut heads off
const narrowest = 4 / 3; // narrower would cut shoulders off
const lowest = 120; // below this a face is not read: the grid scrolls instead

/** Fits count tiles, between 4:3 and 16:9, into a box of the given px. */
export function gridShape(count: number, width: number, height: number, gap = 8): GridShape {
  const readable = Math.max(0, Math.min(width, lowest * widest));
  let best: GridShape = { columns: 1, width: readable, height: Math.min(lowest, readable / narrowest) };
  let fitting = false;
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = Math.max((height - gap * (rows - 1)) / rows, lowest);
    const tileWidth = Math.max(0, Math.min(cellWidth, cellHeight * widest));
    const tileHeight = Math.min(cellHeight, tileWidth / narrowest);
    const fits = tileHeight >= lowest && tileHeight * rows + gap * (rows - 1) <= height;
    // Where none fits, as many beside each other as can be read.
    const better = fits ? !fitting || tileWidth * tileHeight > best.width * best.height : !fitting && columns > 1 && tileWidth >= lowest * narrowest;
    if (better) best = { columns, width: tileWidth, height: tileHeight };
    fitting = fitting || fits;
  }
  return best;
}
