//! What a method may ask of the database, and what it gets. Its SDK sends verbs with tables, columns
//! and values, and never SQL; the parent writes that. SQL that an app has written itself is bounded.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing to do. Values are as they are stored: `null`, a number, a text, `true` and `false` for 1
/// and 0; objects and arrays are text by then. What JSON has no word for is `{"$blob": "<base64>"}`
/// and `{"$number": "Infinity"}` or `"-Infinity"`.
///
/// Columns that remy fills in (`id`, `created_at`, `updated_at`, `last_updated_by` and their names in
/// camel case) are left out of what is written; those that users sign in with are
/// `managed_column_write`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Operation {
    /// Adds a row, and returns it as it is after the triggers.
    Insert {
        /// Where.
        table: String,
        /// By column. System columns are not set.
        row: Map<String, Value>,
    },
    /// Adds a row, or changes the one that has the same values in `keys`, and returns it.
    Upsert {
        /// Where.
        table: String,
        /// By column.
        row: Map<String, Value>,
        /// Columns that a UNIQUE index is on, exactly these.
        keys: Vec<String>,
    },
    /// Changes the row of an id, and returns it; no row where there is none.
    Update {
        /// Where.
        table: String,
        /// Which row.
        id: String,
        /// By column.
        set: Map<String, Value>,
    },
    /// Removes rows. `changes` says how many.
    Remove {
        /// Where.
        table: String,
        /// Which.
        filter: Filter,
    },
    /// Reads rows.
    Select {
        /// Where.
        table: String,
        /// Which.
        filter: Filter,
        /// By which columns, the first one first.
        #[serde(default)]
        order: Vec<Order>,
        /// How many at most.
        #[serde(default)]
        limit: Option<u64>,
        /// How many are left out first.
        #[serde(default)]
        offset: u64,
    },
    /// Counts rows, or computes over them: one row a group.
    Aggregate {
        /// Where.
        table: String,
        /// Which rows.
        filter: Filter,
        /// Columns; without any there is one group of all rows.
        #[serde(default)]
        by: Vec<String>,
        /// What is computed, by the name that it gets.
        select: Vec<(String, Measure)>,
        /// By which name, or column of `by`.
        #[serde(default)]
        order: Option<Order>,
        /// How many groups at most.
        #[serde(default)]
        limit: Option<u64>,
    },
    /// SQL of the app's: one SELECT, INSERT, UPDATE or DELETE (or one that begins WITH) on the app's
    /// tables.
    Sql {
        /// With `?` for values.
        text: String,
        /// In their order.
        #[serde(default)]
        params: Vec<Value>,
        /// Refuse all that does not only read.
        #[serde(default)]
        reads: bool,
    },
}

impl Operation {
    /// Reads rows, in no order.
    pub fn select(table: &str, filter: Filter, limit: Option<u64>) -> Self {
        Self::Select {
            table: table.to_owned(),
            filter,
            order: Vec::new(),
            limit,
            offset: 0,
        }
    }
}

/// What rows are sorted by: NULLs first, numbers before texts, and texts by code points. That is the
/// order of JavaScript but for what lies above U+FFFF.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Order {
    /// A column.
    pub column: String,
    /// The greatest first.
    #[serde(default)]
    pub descending: bool,
}

/// What is computed over the rows of a group. NULLs are left out; sums and means are of columns of
/// numbers or booleans.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// How many rows.
    Count,
    /// 0 over nothing.
    Sum(String),
    /// `null` over nothing.
    Avg(String),
    /// `null` over nothing.
    Min(String),
    /// `null` over nothing.
    Max(String),
    /// How many different values.
    CountDistinct(String),
}

/// Which rows: what a predicate in JavaScript means, as data. `core/app` makes it of the predicate
/// where the app is built; a shape that is not here is filtered in JavaScript, and so is what comes
/// back as `filter_unsupported`: it depends on the types of the columns.
///
/// Values are JavaScript's: a `boolean` column equals `true`, and never 1; a `json` column is what
/// its text parses to; a `user` column is the id, with `@@user@@` before it or without.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    /// Every row.
    All,
    /// All of them.
    And(Vec<Filter>),
    /// Any of them.
    Or(Vec<Filter>),
    /// What it is not of.
    Not(Box<Filter>),
    /// `column === value`; `null` is what is not there.
    Equal(String, Value),
    /// `column < value`, and the like: two texts by units of UTF-16, all else as numbers, of which
    /// `null` is 0. A column of texts with a number, and one of JSON, is `filter_unsupported`.
    Compare(String, Comparison, Value),
    /// What JavaScript takes for true.
    Truthy(String),
    /// `values.includes(column)`.
    In(String, Vec<Value>),
    /// `column.includes(text)`, `startsWith`, `endsWith`: letters of another case are others. Of a
    /// `json` column that is an array, `includes` looks for an item. What has no such method is no
    /// match.
    Text(String, Place, String),
    /// `column === other`, of the same row. `filter_unsupported` for a `json` column.
    Same(String, String),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    #[serde(rename = "<")]
    #[allow(missing_docs)]
    Less,
    #[serde(rename = "<=")]
    #[allow(missing_docs)]
    LessOrEqual,
    #[serde(rename = ">")]
    #[allow(missing_docs)]
    Greater,
    #[serde(rename = ">=")]
    #[allow(missing_docs)]
    GreaterOrEqual,
}

/// Where in a text another one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Place {
    Anywhere,
    Start,
    End,
}

/// What one operation returns.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reply {
    /// The names of what is in a row.
    pub columns: Vec<String>,
    /// Each with a value a column.
    pub rows: Vec<Vec<Value>>,
    /// How many rows were added, changed or removed.
    pub changes: u64,
}
