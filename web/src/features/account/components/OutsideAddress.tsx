import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { accountQuery, confirmOutsideAddress, removeOutsideAddress, setOutsideAddress } from "../api";
import { AskFirst } from "./AskFirst";
import { Problem } from "./Problem";
import { Section } from "./Section";

/** An address of another provider that a reset code may be sent to, confirmed by a code. */
export function OutsideAddress() {
  const { t } = useTranslation("account");
  const client = useQueryClient();
  const { data } = useQuery(accountQuery);
  const [address, setAddress] = useState("");
  const [code, setCode] = useState("");
  const [removing, setRemoving] = useState(false);
  const fresh = () => client.invalidateQueries({ queryKey: accountQuery.queryKey });
  const name = useMutation({
    meta: { inline: true },
    mutationFn: setOutsideAddress,
    onSuccess: async () => {
      setAddress("");
      await fresh();
    },
  });
  const confirm = useMutation({
    meta: { inline: true },
    mutationFn: confirmOutsideAddress,
    onSuccess: async () => {
      setCode("");
      await fresh();
    },
  });
  // Where no mail leaves, there is nothing to offer; what is confirmed can still be taken away.
  if (!data || (!data.sends_outside && !data.outside_address)) return null;
  return (
    <Section title={t("outside.title")} description={t("outside.lead")}>
      <Stack gap="sm" maw={520}>
        {data.outside_address && (
          <Group gap="sm" justify="space-between">
            <Text fw={500}>{data.outside_address}</Text>
            <Button variant="default" size="xs" onClick={() => setRemoving(true)}>
              {t("remove")}
            </Button>
          </Group>
        )}
        {data.outside_pending ? (
          <form
            noValidate
            onSubmit={(e) => {
              e.preventDefault();
              if (code.trim() && !confirm.isPending) confirm.mutate(code.trim());
            }}
          >
            <Stack gap="sm">
              <Text>{t("outside.sent", { address: data.outside_pending })}</Text>
              <Problem error={confirm.error} title={t("outside.confirm_failed")} words={{ invalid: t("outside.wrong"), unauthenticated: t("outside.wrong"), gone: t("outside.late") }} />
              <Group align="flex-end" gap="sm">
                <TextInput label={t("outside.code")} inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(e) => setCode(e.currentTarget.value)} />
                <Button type="submit" loading={confirm.isPending}>
                  {t("outside.confirm")}
                </Button>
                <Button variant="default" onClick={() => setRemoving(true)}>
                  {t("cancel")}
                </Button>
              </Group>
            </Stack>
          </form>
        ) : (
          data.sends_outside && (
            <form
              noValidate
              onSubmit={(e) => {
                e.preventDefault();
                if (address.trim() && !name.isPending) name.mutate(address.trim());
              }}
            >
              <Stack gap="sm">
                <Problem error={name.error} title={t("outside.failed")} words={{ invalid: t("outside.invalid") }} />
                <Group align="flex-end" gap="sm">
                  <TextInput
                    flex="1 1 240px"
                    type="email"
                    label={data.outside_address ? t("outside.other") : t("outside.address")}
                    value={address}
                    autoComplete="email"
                    error={codeOf(name.error) === "invalid" && name.isError}
                    onChange={(e) => setAddress(e.currentTarget.value)}
                  />
                  <Button type="submit" variant="default" loading={name.isPending}>
                    {t("outside.send")}
                  </Button>
                </Group>
              </Stack>
            </form>
          )
        )}
      </Stack>
      {removing && (
        <AskFirst
          title={t("outside.remove_ask")}
          text={t("outside.remove_lost")}
          action={t("remove")}
          failed={t("outside.remove_failed")}
          run={async () => {
            await removeOutsideAddress();
            await fresh();
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </Section>
  );
}
