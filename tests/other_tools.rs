//! What other tools leave: their migration files, their bookkeeping tables, their dumps.
