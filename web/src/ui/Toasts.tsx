import { Notifications } from "@mantine/notifications";
import "@mantine/notifications/styles.css";
import classes from "./Toasts.module.css";

/** Where toasts appear; one in the page. Actions stand at the top of pages and panes, so toasts do at the bottom. */
export default function Toasts() {
  return <Notifications className={classes.toasts} position="bottom-right" limit={3} autoClose={8000} />;
}
