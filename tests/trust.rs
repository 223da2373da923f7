//! Whose files these are: a store, an artifact, a database that somebody else made or can write, and what remy refuses of them.
