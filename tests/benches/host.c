/* host DATABASE: a program that has live open through an SQLite of its own, the rows of a statement half read. For each line
   of its input, `publish SCHEMA OPTIONS` or `rollback OPTIONS` with a tab between them, it writes what that came to. */
#include "remy.h"
#include "../hosts/other_sqlite.h"
#include <string.h>

static void fail(remy *db) {
  fprintf(stderr, "%s\n", remy_errmsg(db));
  exit(1);
}

int main(int argc, char **argv) {
  static char line[1 << 16];
  sqlite3 *own;
  remy *db;
  if (argc != 2) return 2;
  own = other_database(argv[1]);
  other_run(own, "SELECT count(*) FROM orders");
  if (remy_open(argv[1], &db) != REMY_OK) fail(NULL);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *verb = strtok(line, "\t\n"), *first = strtok(NULL, "\t\n"), *second = strtok(NULL, "\t\n"), *json = NULL;
    remy_status status = strcmp(verb, "publish") == 0 ? remy_publish(db, first, second, &json) : remy_rollback(db, 0, first, &json);
    if (status != REMY_OK) fail(db);
    printf("%s\n", json);
    fflush(stdout);
    remy_free(json);
  }
  remy_close(db);
  other_close(own);
  return 0;
}
