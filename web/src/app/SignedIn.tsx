import { useQuery } from "@tanstack/react-query";
import { Outlet } from "@tanstack/react-router";
import { Suspense } from "react";
import { sessionQuery } from "../api/session";
import { Announcer } from "./Announcer";
import { features } from "./features";

const backgrounds = features.flatMap((f) => (f.Background ? [{ name: f.name, Background: f.Background }] : []));

/**
 * Around every page behind sign-in: what runs wherever one is (the socket's
 * listeners, a call in a small window).
 */
export function SignedIn() {
  const { data: session } = useQuery(sessionQuery);
  if (!session) return null; // ended a moment ago; sign-in is on its way
  return (
    <>
      <Outlet />
      <Announcer />
      {backgrounds.map(({ name, Background }) => (
        <Suspense key={name} fallback={null}>
          <Background />
        </Suspense>
      ))}
    </>
  );
}
