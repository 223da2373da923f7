//! Cuts the power at any change of a file that a verb makes, with all, nothing or parts of what was
//! not synced on the disk: live is exactly old or exactly new and never malformed, what a verb has
//! said to be done is done, every snapshot is whole, the store mends itself.
use remy_tests::{
    cut::{Case, Look, PUBLISHED, Run, SWITCHED_OFTEN, V2, WITH_FILES, scratch},
    disk::{Loss, Recording},
    rounds::{Random, rounds},
};
use std::path::Path;

/// Runs `verb` on a copy of `folder`, and writes down what it does to it.
fn record(case: &Case, folder: Option<&Path>, verb: Option<&[String]>) -> (Run, Recording) {
    let mut recording = None;
    // The path of the log is known when the copy is made: it lies beside it.
    let run = case.run_recorded(folder, verb, |copy| {
        recording = Some(Recording::begin(copy))
    });
    let mut recording = recording.expect("the folder was copied");
    // A recovery that finds no store yet has nothing to do.
    if verb.is_none() || run.log().exists() {
        recording.end(&run.log());
    }
    (run, recording)
}

/// Cuts the power `least` times, each time at another moment, and always at the very end as well.
fn cut(case: &Case, least: u64) {
    let (run, recording) = record(case, None, None);
    assert!(run.out.status.success(), "{:?}", run.out);
    let moments = [
        recording.moments(),
        recording.syncs_of("app.db-wal"),
        recording.syncs_of("app.db"),
    ];
    let moments: Vec<_> = moments
        .into_iter()
        .filter(|moments| !moments.is_empty())
        .collect();
    let (mut olds, mut news) = (0, 0);
    for seed in rounds(least) {
        let mut random = Random::new(seed);
        let below =
            |random: &mut Random, n: usize| usize::try_from(random.below(n as u64)).expect("small");
        // When the verb has ended, what it said to be done has to be there, whatever was lost.
        let ended = seed < Loss::ALL.len() as u64;
        let mut at = if ended {
            recording.len()
        } else if random.once_in(4) {
            below(&mut random, recording.len() + 1)
        } else {
            let moments = &moments[below(&mut random, moments.len())];
            moments[below(&mut random, moments.len())]
        };
        at = at.min(recording.len());
        let loss = Loss::ALL[if ended {
            usize::try_from(seed).unwrap()
        } else {
            below(&mut random, Loss::ALL.len())
        }];
        let mut what = format!(
            "round {seed}: {} cut after {at} of {} changes, before {}, lost: {loss:?}",
            case.name(),
            recording.len(),
            recording.describe(at)
        );
        let dir = scratch();
        let mut work = dir.path().join("work");
        recording.after_power_cut(at, loss, &mut random, &work);
        // Recovery may lose power, too.
        if !ended && random.once_in(4) {
            let (_, recovery) = record(case, Some(&work), Some(&["prune".to_owned()]));
            let at = below(&mut random, recovery.len() + 1);
            let loss = Loss::ALL[below(&mut random, Loss::ALL.len())];
            what += &format!(
                "; then its recovery after {at} of {}, before {}, lost: {loss:?}",
                recovery.len(),
                recovery.describe(at)
            );
            work = dir.path().join("again");
            recovery.after_power_cut(at, loss, &mut random, &work);
        }
        let look = if ended {
            Look::Live
        } else {
            Look::by(below(&mut random, 4))
        };
        let new = case.holds(&work.join("app.db"), look, &what);
        assert!(
            new || !ended,
            "{what}: it said that it was done, and it is gone"
        );
        *(if new { &mut news } else { &mut olds }) += 1;
    }
    assert!(
        olds > 0 && news > 0 || std::env::var_os("REMY_ROUND").is_some(),
        "{olds} old, {news} new"
    );
}

#[test]
fn a_publish() {
    cut(&Case::new(&[], &["publish", V2]), 60);
    cut(
        &Case::new(
            PUBLISHED,
            &[
                "publish",
                "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);",
            ],
        ),
        40,
    );
}

#[test]
fn a_publish_that_keeps_files() {
    cut(&Case::new(&[], &["publish", V2, WITH_FILES]), 60);
}

#[test]
fn a_publish_with_a_rollback_journal() {
    cut(&Case::with("delete", false, &[], &["publish", V2]), 60);
}

#[test]
fn a_publish_on_a_host() {
    cut(&Case::with("wal", true, &[], &["publish", V2]), 30);
    cut(&Case::with("delete", true, &[], &["publish", V2]), 30);
}

#[test]
fn a_rollback() {
    cut(&Case::new(PUBLISHED, &["rollback"]), 60);
    cut(&Case::with("delete", true, PUBLISHED, &["rollback"]), 20);
}

#[test]
fn a_promote() {
    cut(&Case::new(&[&["stage", V2]], &["promote"]), 30);
    cut(
        &Case::new(&[&["publish", V2], &["rollback"]], &["promote", "2"]),
        30,
    );
}

#[test]
fn a_stage() {
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);";
    cut(&Case::new(PUBLISHED, &["stage", schema]), 30);
}

#[test]
fn a_prune() {
    cut(
        &Case::new(SWITCHED_OFTEN, &["prune", "30", r#"{"keep_releases":1}"#]),
        30,
    );
}

#[test]
fn a_detach() {
    cut(&Case::new(PUBLISHED, &["detach"]), 20);
}

#[test]
fn a_dev_session() {
    cut(&Case::new(PUBLISHED, &["dev_start", "d"]), 30);
    let started: &[&[&str]] = &[&["dev_start", "d"], &["publish", V2]];
    cut(&Case::new(started, &["dev_reset", "d"]), 30);
    cut(&Case::with("wal", true, started, &["dev_reset", "d"]), 15);
    cut(&Case::new(started, &["dev_truncate", "d"]), 20);
}
