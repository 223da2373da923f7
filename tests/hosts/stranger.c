/* stranger DATABASE SCHEMA WHEN: an application that has live open through an SQLite of its own, too. WHEN says from when on:
   before remy_open, between that and the publish, in the middle of the publish, after it, or only while no verb runs; or it
   stays all the while, which is for verbs in a process of their own.
   It prints each key of app_writes whose commit was acknowledged. */
#include "remy.h"
#include "other_sqlite.h"
#include <string.h>

static const char *path;
static sqlite3 *stranger;

/* A process that comes and goes, and has to see the key: were the locks of this one gone, it would take itself for the last,
   and remove the WAL that the stranger goes on to write to. */
static void visit(const char *key) {
  char command[1024];
  snprintf(command, sizeof command, "sqlite3 '%s' 'SELECT key FROM app_writes' | grep -qx '%s'", path, key);
  if (system(command) == 0) return;
  fprintf(stderr, "lost: %s was acknowledged, and no other process sees it\n", key);
  exit(4);
}

static void arrive(void) {
  stranger = other_database(path);
  other_write(stranger, "arrived");
}

static void in_the_middle(const char *line, void *arg) {
  (void)arg;
  if (stranger == NULL && strstr(line, "\"step\":\"check\"") != NULL) arrive();
}

static void stay_and_leave(void) {
  static int written;
  char key[32];
  int i;
  for (i = 0; i < 5; ++i) {
    snprintf(key, sizeof key, "stayed-%d", ++written);
    other_write(stranger, key);
    visit(key);
  }
  other_close(stranger);
  stranger = NULL;
}

static int is(remy_status is, remy_status expected, remy *db, const char *what) {
  if (is == expected) return 1;
  fprintf(stderr, "%s: status %d, %s: %s\n", what, is, remy_errcode(db), remy_errmsg(db));
  return 0;
}

int main(int argc, char **argv) {
  remy *db;
  char *json;
  const char *when;
  if (argc != 4) return 2;
  path = argv[1];
  when = argv[3];

  if (strcmp(when, "stays") == 0) {
    int i;
    arrive();
    if (!is(remy_open(path, &db), REMY_OK, NULL, "open")) return 1;
    for (i = 0; i < 3; ++i) {
      char key[32];
      if (!is(remy_publish(db, argv[2], NULL, &json), REMY_OK, db, "publish")) return 1;
      remy_free(json);
      snprintf(key, sizeof key, "published-%d", i);
      other_write(stranger, key);
      visit(key);
    }
    remy_close(db);
    stay_and_leave();
    return 0;
  }
  if (strcmp(when, "before") == 0) {
    arrive();
    if (!is(remy_open(path, &db), REMY_LIVE_IN_USE, NULL, "open")) return 1;
    stay_and_leave();
    if (!is(remy_open(path, &db), REMY_OK, NULL, "open once it has left")) return 1;
    remy_close(db);
    return 0;
  }

  if (!is(remy_open(path, &db), REMY_OK, NULL, "open")) return 1;
  if (strcmp(when, "by_turns") == 0) {
    arrive();
    stay_and_leave();
    if (!is(remy_publish(db, argv[2], NULL, &json), REMY_OK, db, "publish")) return 1;
    remy_free(json);
    stranger = other_database(path);
    stay_and_leave();
    remy_close(db);
    return 0;
  }
  if (strcmp(when, "after") == 0) {
    if (!is(remy_publish(db, argv[2], NULL, &json), REMY_OK, db, "publish")) return 1;
    remy_free(json);
    arrive();
    if (!is(remy_rollback(db, 0, NULL, &json), REMY_LIVE_IN_USE, db, "rollback")) return 1;
  } else if (strcmp(when, "between") == 0) {
    arrive();
    if (!is(remy_publish(db, argv[2], NULL, &json), REMY_LIVE_IN_USE, db, "publish")) return 1;
  } else {
    if (strcmp(when, "middle") != 0) return 2;
    remy_set_progress(db, in_the_middle, NULL);
    if (!is(remy_publish(db, argv[2], NULL, &json), REMY_LIVE_IN_USE, db, "publish")) return 1;
    if (stranger == NULL) return 1;
  }
  if (json != NULL || strstr(remy_errmsg(db), "Live is unchanged") == NULL) return 1;
  remy_close(db);
  stay_and_leave();
  return 0;
}
