import { Button } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { providersOf } from "../../../api/sign-in-steps";

/** A button for each outside provider that answers for the login's domain. */
export default function Providers({ login, to }: { login: string; to: string }) {
  const { t } = useTranslation("account");
  const [settled] = useDebouncedValue(login.trim(), 400);
  const domain = /@([^@\s]+\.[^@\s.]{2,})$/.exec(settled)?.[1]?.toLowerCase() ?? "";
  const { data } = useQuery({
    queryKey: ["info", "providers", domain], // as public as the installation's name: kept through sign-ins
    enabled: domain !== "",
    staleTime: Infinity,
    retry: false,
    queryFn: () => providersOf(settled),
  });
  return data?.map((p) => (
    <Button key={p.id} component="a" variant="default" fullWidth href={`${p.path}?${new URLSearchParams({ login: settled, to }).toString()}`}>
      {t("signin.provider", { provider: p.name })}
    </Button>
  ));
}
