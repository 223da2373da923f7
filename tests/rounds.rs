//! How long a suite goes on: as many rounds as catch what it is there to catch, or for as long as
//! it is told.
//!
//! `REMY_MINUTES=30 cargo test --release -p remy-tests` gives every suite half an hour. A round is
//! numbered, and its number is the seed of all that is random in it: `REMY_ROUND=1234` runs that
//! one alone.
use std::time::{Duration, Instant};

/// The numbers of the rounds to run: `0..least`, and then on until the time is over that
/// `REMY_MINUTES` gives.
///
/// ```no_run
/// for seed in remy_tests::rounds::rounds(50) {
///     println!("round {seed}"); // a failure shows it
/// }
/// ```
pub fn rounds(least: u64) -> impl Iterator<Item = u64> {
    let only: Option<u64> = number("REMY_ROUND");
    let time = Duration::from_secs(60 * number("REMY_MINUTES").unwrap_or(0));
    let start = Instant::now();
    (only.unwrap_or(0)..).take_while(move |&n| match only {
        Some(only) => n == only,
        None => n < least || start.elapsed() < time,
    })
}

/// What an environment variable says, where it is set: a number, or the suite stops.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
    )
}

/// Numbers that look random, the same ones for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts them.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// One of `these`.
    pub fn one_of<'a, T: ?Sized>(&mut self, these: &[&'a T]) -> &'a T {
        let n = self.below(these.len() as u64);
        these[usize::try_from(n).expect("an index")]
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
