import { ActionIcon, Button, Group, TextInput, Title } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconArrowLeft, IconBinaryTree, IconSearch, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { usePageTitle } from "../../../lib/title";
import { Page } from "../../../ui/Page";
import { cardQuery, type Choice } from "../api";
import { kept, PeopleList } from "./PeopleList";
import { PersonCard } from "./PersonCard";
import { UnitTree } from "./UnitTree";
import classes from "./DirectoryPage.module.css";

/** The tree of agencies and units, the people of what is chosen or searched, and one person's card. */
export function DirectoryPage() {
  const { t } = useTranslation("directory");
  const navigate = useNavigate();
  const { person } = useParams({ strict: false }) as { person?: string };
  const { q, unit, agency, group, show } = useSearch({ strict: false }) as Choice & { show?: string };
  const choice: Choice = { q, unit, agency, group };
  const field = useRef<HTMLInputElement>(null);
  const { data: card } = useQuery({ ...cardQuery(person ?? ""), enabled: !!person });
  usePageTitle(card && person ? `${card.name} · ${t("title")}` : t("title"));

  const [text, setText] = useState(q ?? "");
  const asked = useRef(q ?? "");
  useEffect(() => {
    // Back, or a link from elsewhere: the field follows the address.
    if ((q ?? "") !== asked.current) {
      asked.current = q ?? "";
      setText(q ?? "");
    }
  }, [q]);
  const search = useDebouncedCallback((typed: string) => {
    asked.current = typed;
    // Over all, whatever is chosen; and back to that when the field is emptied.
    void navigate({ ...paths.directory({ q: typed, agency, unit, group }), replace: true });
  }, 150);
  const type = (typed: string) => {
    setText(typed);
    search(typed.trim());
  };

  return (
    <Page full>
      <div className={classes.layout} data-card={person ? "" : undefined} data-tree={show === "tree" && !person ? "" : undefined}>
        <nav className={classes.tree} aria-label={t("tree.label")}>
          <h1 className={`mantine-visually-hidden ${classes.treeTitle}`}>{t("tree.label")}</h1>
          <Button
            className={classes.toList} variant="subtle" color="gray" size="compact-md" leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
            renderRoot={(props) => <Link {...paths.directory(kept(choice))} {...props} />}
          >
            {t("card.back")}
          </Button>
          <UnitTree choice={choice} />
        </nav>
        <section className={classes.people} aria-label={t("list.label")}>
          <div className={classes.head}>
            <Group justify="space-between" wrap="nowrap">
              <Title order={1}>{t("title")}</Title>
              <Button
                className={classes.toTree} variant="default" size="compact-md" leftSection={<IconBinaryTree size={16} stroke={1.5} aria-hidden />}
                renderRoot={(props) => <Link to="/directory" search={{ ...kept(choice), show: "tree" } as never} {...props} />}
              >
                {t("tree.label")}
              </Button>
            </Group>
            <TextInput
              ref={field}
              type="search"
              aria-label={t("search.label")}
              placeholder={t("search.placeholder")}
              value={text}
              leftSection={<IconSearch size={16} stroke={1.5} aria-hidden />}
              rightSection={
                text && (
                  <ActionIcon variant="subtle" color="gray" aria-label={t("search.clear")} onClick={() => type("")}>
                    <IconX size={16} stroke={1.5} aria-hidden />
                  </ActionIcon>
                )
              }
              onChange={(e) => type(e.currentTarget.value)}
              onKeyDown={(e) => {
                if (e.nativeEvent.isComposing) return;
                if (e.key === "ArrowDown") {
                  e.preventDefault();
                  field.current?.closest("section")?.querySelector<HTMLElement>("[data-person]")?.focus();
                } else if (e.key === "Escape" && text) {
                  e.preventDefault();
                  type("");
                }
              }}
            />
          </div>
          <PeopleList choice={choice} field={field} />
        </section>
        <section className={classes.card} aria-label={t("card.label")}>
          {/* Where the card takes the list's place, it takes its title along. */}
          <h1 className={`mantine-visually-hidden ${classes.cardTitle}`}>{t("title")}</h1>
          <PersonCard key={person} id={person} choice={choice} />
        </section>
      </div>
    </Page>
  );
}
