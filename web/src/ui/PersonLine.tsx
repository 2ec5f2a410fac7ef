import { Avatar, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { initials, nameParts, shortAgency, type PersonView } from "../lib/names";
import { photoOf } from "../lib/photo";
import classes from "./PersonLine.module.css";

interface Props {
  person: PersonView;
  /** Without the round initials at the left. */
  plain?: boolean;
  /** Buttons or a state at the right. */
  right?: ReactNode;
}

/** A person as name, position, agency, in this order. */
export function PersonLine({ person, plain = false, right }: Props) {
  const agency = person.agency_short || shortAgency(person.agency_name ?? "");
  const post = [person.title, person.unit].filter(Boolean).join(", ");
  return (
    <div className={classes.line}>
      {!plain && <PersonMark name={person.name} photo={photoOf(person)} />}
      <div className={classes.words}>
        <Text component="div" fw={500} truncate>
          {person.name}
        </Text>
        {(post || agency) && (
          <Text component="div" size="sm" c="dimmed" truncate title={[post, person.agency_name].filter(Boolean).join(" · ")}>
            {[post, agency].filter(Boolean).join(" · ")}
          </Text>
        )}
      </div>
      {right && <div className={classes.right}>{right}</div>}
    </div>
  );
}

/** Pictures of a long list come as one gets near them. */
const lazily = { loading: "lazy", decoding: "async" } as const;

/** A person's picture, else the initials of tên and đệm; decoration, drawn so that no button's words seem to hold them, beside a name that is written out. */
export function PersonMark({ name, photo, size = 36 }: { name: string; photo?: string; size?: number }) {
  const { middle, given, family } = nameParts(name);
  return (
    <Avatar src={photo} size={size} radius={size} color="gray" variant="light" imageProps={lazily} aria-hidden classNames={{ placeholder: classes.mark }}>
      <span data-initials={initials(`${middle || family} ${given}`)} />
    </Avatar>
  );
}
