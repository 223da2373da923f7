//! What SQLite's errors are to a method.

use crate::{database::app_sql::refused, failure::Failure};
use rusqlite::{Error, ErrorCode, ffi};

/// What a statement was doing, for the message: `adding a row to "vendors"`.
pub(super) fn of_statement(e: Error, doing: &str) -> Failure {
    let (extended, text) = match &e {
        Error::SqliteFailure(code, text) => (code.extended_code, text.clone()),
        Error::MultipleStatement => {
            return refused("this text holds more than one");
        }
        _ => (ffi::SQLITE_ERROR, None),
    };
    let text = text.unwrap_or_else(|| e.to_string());
    let make = |code: &str, status: u16, what: &str| {
        Failure::new(code, status, format!("{doing}: {what}"))
    };
    let on = |text: &str| {
        let named = text.split_once(": ").map_or(text, |(_, named)| named);
        named.to_owned()
    };
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            let what = format!("another row has the same {}", on(&text));
            make("unique_violation", 409, &what)
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => {
            let what = format!("{} needs a value", on(&text));
            make("not_null_violation", 400, &what)
        }
        ffi::SQLITE_CONSTRAINT_CHECK => {
            let what = format!("a value is against the CHECK {}", on(&text));
            make("check_violation", 400, &what)
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => foreign_key(doing),
        ffi::SQLITE_CONSTRAINT_TRIGGER => make("trigger_refused", 400, &text),
        extended => of_code(ffi::Error::new(extended).code, &text, &make),
    }
}

fn of_code(code: ErrorCode, text: &str, make: &dyn Fn(&str, u16, &str) -> Failure) -> Failure {
    match code {
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
            make("constraint_violation", 400, text)
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => make(
            "database_busy",
            503,
            "somebody else holds the database's lock; nothing was done",
        ),
        ErrorCode::DiskFull => make("disk_full", 507, "the disk is full; nothing was done"),
        ErrorCode::TooBig => make("value_too_large", 413, "a value, or the SQL, is too large"),
        ErrorCode::Unknown
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::AuthorizationForStatementDenied => make("db_query_error", 500, text),
        _ => make("database_failed", 500, text),
    }
}

/// Of a row that refers to one that is not there, or is referred to.
pub(super) fn foreign_key(doing: &str) -> Failure {
    let what = "a row would refer to one that is not there; nothing was done";
    Failure::new("foreign_key_violation", 409, format!("{doing}: {what}"))
}

/// That the service has ended.
pub(super) fn closed() -> Failure {
    Failure::new(
        "database_closed",
        503,
        "the database was closed, as its process ends; nothing was done",
    )
}

/// The code of what took longer than it may.
pub(super) const LATE: &str = "query_timed_out";

/// What remy's own errors are to a method.
pub(super) fn of_remy(e: &remy_db::Error) -> Failure {
    match e.code() {
        "busy" => Failure::new("database_busy", 503, e.to_string()),
        _ => Failure::new("database_failed", 500, e.to_string()),
    }
}
