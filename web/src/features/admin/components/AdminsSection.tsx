import type { SectionProps } from "./AdminPage";

export function AdminsSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
