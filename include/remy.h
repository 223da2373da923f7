/* remy: makes an SQLite database part of a release.
** Generated from core/capi/src/lib.rs; do not edit. What every verb takes and gives: docs/contract.md. */

#ifndef REMY_H
#define REMY_H

#include <stdint.h>

/* The version of this header; remy_version() is that of the library. */
#define REMY_VERSION "0.1.0"
#define REMY_VERSION_NUMBER 1000


// What a call came to. `remy_errcode` has the same as text, `remy_errmsg` says it in words. The
// values are stable.
typedef enum {
  // It was done.
  REMY_OK = 0,
  // An argument or option is wrong, or the call is made where it cannot be.
  REMY_INVALID_ARGUMENT = 1,
  // The declared schema or set of effects does not parse, or contradicts itself.
  REMY_SCHEMA_INVALID = 2,
  // The change is one that cannot be made.
  REMY_UNSUPPORTED_CHANGE = 3,
  // One thing goes and another comes: it has to be said whether that is a rename.
  REMY_AMBIGUOUS_RENAME = 4,
  // The change would alter or lose values, and nobody has said that it may.
  REMY_LOSSY_CHANGE = 5,
  // A statement failed on the clone.
  REMY_DDL_FAILED = 6,
  // The changed clone did not pass a check.
  REMY_CHECK_FAILED = 7,
  // Somebody else holds a lock, or the call was called off.
  REMY_BUSY = 8,
  // The switch would have held writers up for longer than `max_pause_ms`.
  REMY_PAUSE_EXCEEDED = 9,
  // This process has live open through another SQLite library.
  REMY_LIVE_IN_USE = 10,
  // No such release, file, session or object.
  REMY_NOT_FOUND = 11,
  // The release cannot go live.
  REMY_NOT_PROMOTABLE = 12,
  // The release's database was pruned.
  REMY_PRUNED = 13,
  // There is nothing to roll back to.
  REMY_NO_PREVIOUS_RELEASE = 14,
  // A file is not a database, or is damaged.
  REMY_CORRUPT = 15,
  // The operating system said no.
  REMY_IO = 16,
  // A mistake of remy's own.
  REMY_INTERNAL = 17,
  // What was to be published could not be built. Of who builds, not of this library.
  REMY_BUILD_FAILED = 18,
} remy_status;

// A live database and its store.
//
// Threads: a handle may be used from any thread, by one call at a time. A call that finds another
// one running on the same handle does nothing and returns `REMY_BUSY`, as `remy_errmsg(NULL)`
// says. `remy_cancel` alone may be called while another call runs. Different handles are
// independent, also on the same database. No handle may be used in a child process after `fork`.
//
// Strings: `const char *` results belong to the handle and are valid until the next call on it.
// `char **json` results belong to the caller, who frees them with `remy_free`; where a call fails,
// `*json` is NULL. All text is UTF-8, ends with NUL, and is copied where it is kept.
typedef struct remy remy;

// Takes a line of the build log as JSON, while a verb runs and on its thread. The line is valid
// until the callback returns. It may call `remy_cancel`, and no other function of this handle. It
// must not unwind (`longjmp`, C++ exceptions).
typedef void (*remy_progress)(const char *line, void *arg);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library: `"0.1.0"`. Never NULL, never freed.
const char *remy_version(void);

// The version of the library as a number: major * 1000000 + minor * 1000 + patch, as
// `REMY_VERSION_NUMBER`.
int32_t remy_version_number(void);

// Opens the SQLite database at `path`, on the SQLite that the library carries. `*out` is the
// handle, or NULL where it fails; `remy_errmsg(NULL)` then says why, on the thread that called.
//
// Verbs run in a process of their own, which the library starts from its own file: this one may
// have the database open through any SQLite library. Where none can be started, or the environment
// variable `REMY_HELPER` is `none`, they run in this process, which then must not have the
// database open through another SQLite library (`REMY_LIVE_IN_USE`). `remy_debug` says which it
// is, and why. libremy.a has no file of its own: it starts what `REMY_HELPER` names, a
// `libremy.so` of this version, or one beside the program.
//
// # Safety
// `path` is NULL or a C string; `out` is NULL or may be written to.
remy_status remy_open(const char *path, remy **out);

// Closes a handle. No other call may be running on it. NULL is nothing to close.
//
// # Safety
// `handle` is NULL or came from `remy_open`, and is not used again.
void remy_close(remy *handle);

// Frees a string that came through a `char **json`. NULL is nothing to free.
//
// # Safety
// `json` is NULL or came from a function of this library, and is not used again.
void remy_free(char *json);

// What the last call on `handle` failed with, in words: `""` where it did not fail. With NULL: of
// the last call of this thread that had no handle.
//
// # Safety
// `handle` is NULL or an open handle that no call is running on.
const char *remy_errmsg(const remy *handle);

// The stable code of what `remy_errmsg` says: `"busy"`; `"ok"` where the call did not fail.
//
// # Safety
// As `remy_errmsg`.
const char *remy_errcode(const remy *handle);

// All of what `remy_errmsg` says, as JSON: `{"code", "message", "hint", "remedy", "object", "sql"}`;
// `"null"` where the call did not fail.
//
// # Safety
// As `remy_errmsg`.
const char *remy_errjson(const remy *handle);

// Gives each line of the build log to `progress`, together with `arg`, from the next verb on. NULL
// ends that.
//
// # Safety
// `handle` is NULL or an open handle; `progress` may be called with `arg` on any thread that runs
// a verb on it.
remy_status remy_set_progress(remy *handle, remy_progress progress, void *arg);

// Calls off the verb that is running on `handle`: it stops at its next step and returns
// `REMY_BUSY`, unless it has come as far as committing, from where on it ends as it would. Does
// nothing where none is running. May be called from any thread, also by a progress callback, at
// any time before `remy_close`.
//
// # Safety
// `handle` is NULL or an open handle.
void remy_cancel(remy *handle);

// What remy runs on: `*json` is *debug*.
//
// # Safety
// Of this function and all below: `handle` is NULL or an open handle; texts are NULL or C strings;
// `json` is NULL or may be written to. A NULL where there has to be something is
// `REMY_INVALID_ARGUMENT`.
remy_status remy_debug(remy *handle, char **json);

// What a publish of `schema` would do to live as it is now: `*json` is a list of *statement*.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_diff(remy *handle, const char *schema, const char *options, char **json);

// Copies live, as of one committed transaction, to `path`, which must not be there: `*json` is
// *clone*.
//
// # Safety
// As `remy_debug`.
remy_status remy_clone(remy *handle, const char *path, char **json);

// Publishes up to the switch, and leaves the release `compiled`: `*json` is *outcome*.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_stage(remy *handle, const char *schema, const char *options, char **json);

// Makes live what `schema` declares: `*json` is *outcome*.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_publish(remy *handle, const char *schema, const char *options, char **json);

// Makes a kept or staged release live: `*json` is *outcome*. `release` 0 is the newest `compiled`
// one.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_promote(remy *handle, int64_t release, const char *options, char **json);

// Makes an earlier release live again: `*json` is *outcome*. `release` 0 is the one that was live
// before the live one.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_rollback(remy *handle, int64_t release, const char *options, char **json);

// The history, newest first: `*json` is a list of *release*.
//
// # Safety
// As `remy_debug`.
remy_status remy_releases(remy *handle, char **json);

// The build log of a release: `*json` is a list of *line*. `release` 0 is the newest.
//
// # Safety
// As `remy_debug`.
remy_status remy_build_log(remy *handle, int64_t release, char **json);

// Takes a copy of live for a dev session: `*json` is *dev*.
//
// # Safety
// As `remy_debug`.
remy_status remy_dev_start(remy *handle, const char *name, char **json);

// Makes a dev session's database equal to live, under open connections: `*json` is *dev*.
//
// # Safety
// As `remy_debug`.
remy_status remy_dev_reset(remy *handle, const char *name, char **json);

// Empties every table of a dev session's database, under open connections: `*json` is *dev*. Of
// the options it takes `extensions` and `lock_timeout_ms`.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_dev_truncate(remy *handle, const char *name, const char *options, char **json);

// Ends a dev session and removes its database: `*json` is *dev*.
//
// # Safety
// As `remy_debug`.
remy_status remy_dev_stop(remy *handle, const char *name, char **json);

// The dev sessions, newest first: `*json` is a list of *dev*.
//
// # Safety
// As `remy_debug`.
remy_status remy_dev_list(remy *handle, char **json);

// Drops snapshots that are older than `days`: `*json` is *pruned*. `days` -1 is the option
// `retention_days`.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_prune(remy *handle, int64_t days, const char *options, char **json);

// Reads everything again: `*json` is *verified*. `REMY_OK` says that it was read; `ok` in it says
// whether all holds. Of the options it takes `extensions`.
//
// # Safety
// As `remy_debug`. `options` may be NULL.
remy_status remy_verify(remy *handle, const char *options, char **json);

// Drops remy's tables from live in one transaction; the store stays: `*json` is *detached*.
//
// # Safety
// As `remy_debug`.
remy_status remy_detach(remy *handle, char **json);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REMY_H */
