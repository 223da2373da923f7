//! Another SQLite library in the process that publishes: each drops the locks of the other when it
//! closes a file. A verb in a process of its own does not mind; in this one the C library refuses,
//! whenever the other comes. Either way no commit is lost.
use crate::{SCHEMA, WRITES, c, database_with_writers};
use remy_tests::shell;

fn stranger(when: &str, is_refused: bool, published: bool) {
    let mut databases = Vec::new();
    let args = || {
        let (folder, path) = database_with_writers();
        let arguments = vec![
            path.display().to_string(),
            format!("{SCHEMA} {WRITES}"),
            when.to_owned(),
        ];
        databases.push((folder, path));
        arguments
    };
    let mut acknowledged = Vec::new();
    let here = [("REMY_HELPER", "none")];
    let environment: &[_] = if is_refused { &here } else { &[] };
    let take = |_: &str, out| acknowledged.push(out);
    c::run_with(&[], environment, "stranger.c", args, take);
    for ((_folder, path), acknowledged) in databases.iter().zip(acknowledged) {
        let found = shell(path, "SELECT key FROM app_writes ORDER BY id");
        assert!(acknowledged.lines().count() > 4, "{acknowledged}");
        let lost: Vec<_> = acknowledged
            .lines()
            .filter(|key| !found.lines().any(|found| found == *key))
            .collect();
        assert!(lost.is_empty(), "lost: {lost:?}, there are {found}");
        assert_eq!(shell(path, "PRAGMA integrity_check").trim(), "ok");
        let columns = shell(path, "SELECT count(*) FROM pragma_table_info('users')");
        assert_eq!(columns.trim() == "3", published, "{columns}");
    }
}

#[test]
fn one_that_is_there_before() {
    stranger("before", true, false);
}

#[test]
fn one_that_comes_between_open_and_publish() {
    stranger("between", true, false);
}

#[test]
fn one_that_comes_in_the_middle_of_a_publish() {
    stranger("middle", true, false);
}

#[test]
fn one_that_comes_after_a_publish() {
    stranger("after", true, true);
}

#[test]
fn one_that_is_there_only_while_no_verb_runs() {
    stranger("by_turns", true, true);
}

#[test]
fn one_that_stays_beside_verbs_in_a_process_of_their_own() {
    stranger("stays", false, true);
}
