import { Notifications } from "@mantine/notifications";
import "@mantine/notifications/styles.css";

/** Where toasts appear; one in the page. */
export default function Toasts() {
  return <Notifications position="top-right" limit={3} autoClose={8000} />;
}
