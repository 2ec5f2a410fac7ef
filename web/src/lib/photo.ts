/** Where a person's picture is; its hash changes with it, so that browsers keep it. Nothing: no picture, or none for the reader. */
export function photoOf(person: { id: string; photo?: string }): string | undefined {
  return person.photo ? `/api/v1/directory/people/${encodeURIComponent(person.id)}/photo?v=${person.photo}` : undefined;
}
