import { beforeEach, expect, it } from "vitest";
import { useNotices } from "./notices";
import { paths } from "./paths";

beforeEach(() => useNotices.getState().clear());

it("takes for read what led to the page that is open, and nothing else", () => {
  const { add, visit } = useNotices.getState();
  const unread = () => useNotices.getState().list.filter((n) => !n.read).map((n) => n.id).sort();
  add({ id: "call", title: "", place: paths.meeting("a") });
  add({ id: "other", title: "", place: paths.meeting("ab") });
  add({ id: "mail", title: "", place: paths.mail() });
  add({ id: "news", title: "" });
  const before = useNotices.getState();
  visit("/meetings");
  expect(useNotices.getState()).toBe(before);
  visit("/meetings/a");
  expect(unread()).toEqual(["mail", "news", "other"]);
  visit("/mail/inbox");
  expect(unread()).toEqual(["news", "other"]);
});
