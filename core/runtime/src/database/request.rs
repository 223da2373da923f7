//! What a method may ask of the database, and what it gets. Its SDK sends verbs with tables, columns
//! and values, and never SQL; the parent writes that. SQL that an app has written itself is bounded.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing to do. Values are as they are stored: `null`, a number, a text, `true` and `false` for 1
/// and 0; objects and arrays are text by then.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Operation {
    /// Adds a row, and returns it.
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

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Order {
    /// A column.
    pub column: String,
    /// The greatest first.
    #[serde(default)]
    pub descending: bool,
}

/// What is computed over the rows of a group. NULLs are left out.
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
/// where the app is built; a shape that is not here is filtered in JavaScript.
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
    /// `column < value`, and the like, where both are numbers or both are texts.
    Compare(String, Comparison, Value),
    /// What JavaScript takes for true.
    Truthy(String),
    /// `values.includes(column)`.
    In(String, Vec<Value>),
    /// `column.includes(text)`, `startsWith`, `endsWith`: letters of another case are others.
    Text(String, Place, String),
    /// `column === other`, of the same row.
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
