import type { SectionProps } from "./AdminPage";

export function GroupsSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
