//! Virtual tables: what belongs to a module stays with it, and nothing else does.
