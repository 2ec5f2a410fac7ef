import { Code, Text, Title, UnstyledButton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import classes from "./SignInPage.module.css";

interface Account {
  login: string;
  name: string;
  agency: string;
}

interface Props {
  accounts: Account[];
  password: string;
  onChoose: (login: string) => void;
}

/** Who can sign in to a demo; choosing one fills the form. */
export default function DemoAccounts({ accounts, password, onChoose }: Props) {
  const { t } = useTranslation("account");
  return (
    <section className={classes.card} aria-labelledby="demo-title">
      <Title order={2} id="demo-title">
        {t("demo.title")}
      </Title>
      <Text c="dimmed" mt={4}>
        {t("demo.lead")} <Code>{password}</Code>
      </Text>
      <ul className={classes.accounts}>
        {accounts.map((a) => (
          <li key={a.login}>
            <UnstyledButton className={classes.account} onClick={() => onChoose(a.login)}>
              <Text fw={500}>{a.name}</Text>
              <Text size="sm" c="dimmed">
                {[a.agency, a.login].filter(Boolean).join(" · ")}
              </Text>
            </UnstyledButton>
          </li>
        ))}
      </ul>
      <Text mt="sm">{t("demo.second")}</Text>
    </section>
  );
}
