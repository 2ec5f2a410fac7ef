import { Button, Group, Modal } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { findPeople } from "../../../api/people";
import { useSession } from "../../../api/session";
import type { PersonView } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import { PersonPicker } from "../../../ui/PersonPicker";

/** Chooses whom to write to. */
export function NewDirect({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation("chat");
  const navigate = useNavigate();
  const me = useSession().person.id;
  const [people, setPeople] = useState<PersonView[]>([]);
  const chosen = people[0];
  const go = () => {
    if (!chosen) return;
    onClose();
    void navigate(paths.chatWith(chosen.id));
  };
  return (
    <Modal opened onClose={onClose} title={t("new.direct")} closeButtonProps={{ "aria-label": t("close") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          go();
        }}
      >
        <PersonPicker label={t("new.whom")} value={people} onChange={setPeople} search={findPeople} exclude={[me]} max={1} initialFocus />
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={onClose}>
            {t("cancel")}
          </Button>
          <Button type="submit" disabled={!chosen}>
            {t("new.write")}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
