import type { SectionProps } from "./AdminPage";

export function ImportsSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
