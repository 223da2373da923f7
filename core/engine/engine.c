/* The SQLite that remy carries, private to this file: every sqlite3_* symbol is static, so none can
** clash with, or be interposed by, an SQLite that the host already has. */
#define SQLITE_API static
#define SQLITE_EXTERN static
#include "sqlite3.c"
#include "sqlite3ext.h"

/* The routines that a loadable extension of this engine would be given. */
const struct sqlite3_api_routines *remy_engine_api(void){
  return sqlite3_initialize()==SQLITE_OK ? &sqlite3Apis : 0;
}

/* What that table lacks. */
int remy_engine_snapshot_get(sqlite3 *db, const char *schema, sqlite3_snapshot **out){
  return sqlite3_snapshot_get(db, schema, out);
}
void remy_engine_snapshot_free(sqlite3_snapshot *snapshot){
  sqlite3_snapshot_free(snapshot);
}

/* How many descriptors this engine has open on the file (device, inode): one a connection, and those that
** wait to be closed until no lock is left on the file. Any other descriptor of a live database in this
** process is a stranger's. */
int remy_engine_descriptors(unsigned long long device, unsigned long long inode){
  int n = 0;
  unixInodeInfo *p;
  unixEnterMutex();
  for(p=inodeList; p; p=p->pNext){
    if( (unsigned long long)p->fileId.dev==device && (unsigned long long)p->fileId.ino==inode ){
      UnixUnusedFd *u;
      n += p->nRef;
      sqlite3_mutex_enter(p->pLockMutex);
      for(u=p->pUnused; u; u=u->pNext) n++;
      sqlite3_mutex_leave(p->pLockMutex);
    }
  }
  unixLeaveMutex();
  return n;
}

/* Keeps COMMIT from moving or dropping free pages on this connection. */
static unsigned int noPages(void *p, const char *schema, unsigned int pages, unsigned int freePages, unsigned int size){
  (void)p; (void)schema; (void)pages; (void)freePages; (void)size;
  return 0;
}
int remy_engine_keep_free_pages(sqlite3 *db){
  return sqlite3_autovacuum_pages(db, noPages, 0, 0);
}
