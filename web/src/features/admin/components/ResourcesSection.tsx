import type { SectionProps } from "./AdminPage";

export function ResourcesSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
