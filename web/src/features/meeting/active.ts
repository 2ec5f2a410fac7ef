import type { Call } from "./call";
import { Store } from "./state";

/** The tab's one call. It outlives the page it began on, until it is left. */
export const activeCall = new Store<{ call: Call | null; id: string; title: string; link: string; maker: boolean }>({
  call: null, id: "", title: "", link: "", maker: false,
});

export function forgetCall(): void {
  activeCall.set({ call: null, id: "", title: "", link: "", maker: false });
}
