//! Tables of tests.

/// Makes a test of each row of a table, so that one runs alone by its name, and says by it what has
/// failed: `cargo test -p remy-tests --test races live_shrinks_or_grows::wal::host`.
///
/// `check` is a function beside the table, which is called with what a row holds. A list in front
/// of the rows names the values of one argument more: every row is run with each of them.
///
/// ```text
/// fn check(mode: &str, by_host: bool, rows: u32, act: &str) { … }
///
/// cases! { check:
///     [wal: "wal", delete: "delete"]
///     [pages: false, host: true]
///     {
///         grows(0, "INSERT …"),
///         shrinks(7, "DELETE …"),
///     }
/// }
/// ```
#[macro_export]
macro_rules! cases {
    ($check:ident: $first:tt $($rest:tt)*) => {
        mod $check {
            use super::*;
            $crate::cases!(@ $check () $first { $($rest)* });
        }
    };
    // The values of the last argument: a test of each.
    (@ $check:ident $given:tt [$($name:ident: $value:expr),+ $(,)?] {}) => {
        $($crate::cases!(@test $check $name $given ($value));)+
    };
    // The values of an argument: a module of each.
    (@ $check:ident $given:tt [$($name:ident: $value:expr),+ $(,)?] $rest:tt) => {
        $(mod $name {
            use super::*;
            $crate::cases!(@next $check $given ($value) $rest);
        })+
    };
    (@next $check:ident ($($given:expr,)*) ($value:expr) { $first:tt $($rest:tt)* }) => {
        $crate::cases!(@ $check ($($given,)* $value,) $first { $($rest)* });
    };
    // The rows: a test of each.
    (@ $check:ident $given:tt { $($name:ident($($value:expr),* $(,)?)),+ $(,)? } {}) => {
        $($crate::cases!(@test $check $name $given ($($value),*));)+
    };
    (@test $check:ident $name:ident ($($given:expr,)*) ($($value:expr),*)) => {
        #[test]
        fn $name() {
            $check($($given,)* $($value),*);
        }
    };
}
