import type { SectionProps } from "./AdminPage";

export function PolicySection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
