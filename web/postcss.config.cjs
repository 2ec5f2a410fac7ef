// The font's stylesheets also name .woff files for browsers too old to run the
// client at all; without this they would be built into the binary.
const woff2Only = {
  postcssPlugin: "woff2-only",
  Declaration(decl) {
    if (decl.prop === "src" && decl.value.includes(".woff)")) {
      decl.value = decl.value.replace(/,\s*url\([^)]*\.woff\)\s*format\('woff'\)/g, "");
    }
  },
};

module.exports = { plugins: [woff2Only, require("postcss-preset-mantine")()] };
