import { expect, it } from "vitest";
import { renderPart } from "../testing/render";
import { VirtualRows } from "./VirtualRows";

// React takes what an effect returns for its clean-up, and a page whose list asked for more fell over.
it("goes on whatever is returned by who is told that the end is near", () => {
  const told: number[] = [];
  const list = (count: number) => (
    <VirtualRows label="Danh sách" count={count} rowHeight={40} keyOf={String} pinned={0} onLast={((last: number) => told.push(last)) as (last: number) => void}>
      {(i) => <span>{i}</span>}
    </VirtualRows>
  );
  const shown = renderPart(list(2));
  shown.unmount();
  expect(told.length).toBeGreaterThan(0);
  expect(shown.container.textContent).toBe("");
});
