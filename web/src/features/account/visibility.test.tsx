import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { renderPart } from "../../testing/render";
import { serve } from "../../testing/server";
import { Visibility } from "./components/Visibility";

const levels = Object.fromEntries(["entry", "name", "title", "unit", "agency", "address", "phone", "mobile", "office", "photo"].map((f) => [f, "all_agencies"]));

it("lets one choose what the agency leaves to oneself, and no more", async () => {
  const before = { effective: levels, allowed: ["mobile", "photo"], own: [{ field: "photo", level: "own_unit" }], set_by_administrator: [{ field: "photo", level: "all_agencies" }] };
  const after = { ...before, effective: { ...levels, mobile: "hidden" }, own: [...before.own, { field: "mobile", level: "hidden" }] };
  let refused = true;
  const { calls } = serve({
    "GET /api/v1/account/visibility": { body: before },
    "PUT /api/v1/account/visibility": () => (refused ? { status: 503, body: { code: "unavailable", detail: "later" } } : { body: after }),
  });
  renderPart(<Visibility />);
  const user = userEvent.setup();
  // The picture's was decided by an administrator.
  expect((await screen.findAllByRole("combobox")).map((c) => (c as HTMLInputElement).value)).toEqual(["Theo chính sách của cơ quan"]);
  await user.click(screen.getByRole("combobox", { name: "Ai thấy: Điện thoại di động" }));
  await user.click(await screen.findByRole("option", { name: "Không ai" }));
  await user.click(screen.getByRole("button", { name: "Lưu lựa chọn" }));
  await screen.findByRole("alert");
  expect((screen.getByRole("combobox", { name: "Ai thấy: Điện thoại di động" }) as HTMLInputElement).value).toBe("Không ai");
  refused = false;
  await user.click(screen.getByRole("button", { name: "Lưu lựa chọn" }));
  await screen.findByText("Không ai", { selector: "dd" });
  expect(calls.at(-1)?.body).toEqual({ own: [{ field: "mobile", level: "hidden" }, { field: "photo", level: "own_unit" }] }); // for when the administrator's word is gone
});
