import { AppPasswords } from "./AppPasswords";
import { Factors } from "./Factors";
import { OutsideAddress } from "./OutsideAddress";
import { PasswordSection } from "./PasswordSection";

/** How one signs in: the password, what stands beside it, and the passwords of programs. */
export function Security() {
  return (
    <>
      <PasswordSection />
      <Factors />
      <AppPasswords />
      <OutsideAddress />
    </>
  );
}
