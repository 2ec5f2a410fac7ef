import { IconAddressBook, IconCalendarEvent, IconHistory, IconMail, IconMessages, IconSettings, IconVideo, type Icon } from "@tabler/icons-react";
import { paths, type Place } from "../lib/paths";
import { feature, type Feature } from "./features";

/** A place in the rail. */
export interface NavEntry {
  feature: Feature;
  /** Key of its words in the app's texts: nav.<name>. */
  name: "today" | "meeting" | "chat" | "mail" | "directory" | "admin" | "audit";
  place: Place;
  icon: Icon;
}

const order: Omit<NavEntry, "feature">[] = [
  { name: "today", place: paths.today(), icon: IconCalendarEvent },
  { name: "meeting", place: paths.meetings(), icon: IconVideo },
  { name: "chat", place: paths.chat(), icon: IconMessages },
  { name: "mail", place: paths.mail(), icon: IconMail },
  { name: "directory", place: paths.directory(), icon: IconAddressBook },
  { name: "admin", place: paths.admin(), icon: IconSettings },
  { name: "audit", place: paths.audit(), icon: IconHistory },
];

/** Only what is there: no dead links. */
export const nav: NavEntry[] = order.flatMap((entry) => {
  const found = feature(entry.name);
  return found ? [{ ...entry, feature: found }] : [];
});
