// Be Vietnam Pro in the three weights the theme uses; the package's plain files
// hold the latin, latin-ext and vietnamese subsets, and no others exist.
import "@fontsource/be-vietnam-pro/400.css";
import "@fontsource/be-vietnam-pro/500.css";
import "@fontsource/be-vietnam-pro/600.css";
