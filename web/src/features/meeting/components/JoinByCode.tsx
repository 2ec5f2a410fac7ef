import { Button, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { meetingIdIn } from "../code";
import classes from "./MeetingsPage.module.css";

/** The way in for somebody who was sent a link or told a code. */
export function JoinByCode() {
  const { t } = useTranslation("meeting");
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [bad, setBad] = useState(false);
  return (
    <form
      className={classes.code}
      onSubmit={(e) => {
        e.preventDefault();
        const id = meetingIdIn(text);
        if (id) void navigate(paths.meeting(id));
        else setBad(true);
      }}
    >
      <TextInput
        label={t("code.label")}
        placeholder={t("code.placeholder")}
        value={text}
        error={bad && t("code.bad")}
        autoComplete="off"
        spellCheck={false}
        onChange={(e) => {
          setText(e.currentTarget.value);
          setBad(false);
        }}
      />
      <Button type="submit" variant="default" disabled={!text.trim()}>
        {t("code.go")}
      </Button>
    </form>
  );
}
