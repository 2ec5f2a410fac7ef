import type { SectionProps } from "./AdminPage";

export function MailboxesSection({ agency }: SectionProps) {
  return <div>{agency.name}</div>;
}
