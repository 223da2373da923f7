// Where the extension is, and how a connection loads it.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const places = [
  `./remy0.${process.platform}-${process.arch}-gnu.so`, // in the package
  "../../target/release/libremy0.so", // in a checkout
  "../../target/debug/libremy0.so",
];

/** The path of the extension. Its entry point is `sqlite3_remy_init`, which SQLite derives from the file's name. */
export function getLoadablePath() {
  const paths = places.map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const path = paths.find((path) => existsSync(path));
  if (!path)
    throw new Error(
      `remy-sqlite has no extension for ${process.platform} ${process.arch}: there is none at ${paths.join(", ")}`,
    );
  return path;
}

/**
 * Loads the extension into a connection of better-sqlite3 or node:sqlite (opened with `allowExtension`). Of node:sqlite nobody can
 * tell whether extensions are allowed at the moment: they are not afterwards, and who loads others later allows them again.
 */
export function load(db) {
  // better-sqlite3 allows extensions for the call, node:sqlite has to be told.
  db.enableLoadExtension?.(true);
  try {
    db.loadExtension(getLoadablePath());
  } finally {
    db.enableLoadExtension?.(false);
  }
}
