//! What hangs on a change: views, triggers, checks and indexes that compiled before it compile after it.
