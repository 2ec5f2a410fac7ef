import type { SectionProps } from "./AdminPage";

export function PartnersSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
