//! What comes in as a path, a name or a library, and what it must not reach.
