import type { SectionProps } from "./AdminPage";

export function PeopleSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
