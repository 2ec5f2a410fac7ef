/** The product's mark and name. */
export function Brand() {
  return (
    <>
      <img src="/icon.svg" alt="" width={24} height={24} />
      <span>commsd</span>
    </>
  );
}
