//! Where calls of live begin: while live is switched, new ones are held here.

use crate::{failure::Failure, pool::Cancel};
use remy_db::internals::runtimes::Answered;
use serde_json::Value;
use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// The most calls that are held at once.
const CALLS: usize = 1000;

/// The most bytes of their inputs.
const BYTES: usize = 64 << 20;

/// Where calls of live begin.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    under_way: u64,
    hold: Option<Hold>,
    held: usize,
    held_bytes: usize,
}

/// New calls are held.
struct Hold {
    /// Then they go on, on what the marker names.
    until: Instant,
    /// How long the switch may take once no call is under way.
    switch: Duration,
    /// Who waits for that, and for how many calls.
    verb: Option<(UnixStream, u64)>,
}

/// A call that is under way, for as long as this lives.
pub(crate) struct UnderWay(Arc<Gate>);

impl Gate {
    /// Begins a call, at once or when the switch is over.
    ///
    /// Fails with `overloaded` where too many are held, and with `cancelled`.
    pub fn enter(self: &Arc<Self>, input: &Value, cancel: &Cancel) -> Result<UnderWay, Failure> {
        {
            let mut state = self.lock();
            if !state.holds() {
                state.under_way += 1;
                return Ok(UnderWay(Arc::clone(self)));
            }
        }
        let bytes = serde_json::to_vec(input).map_or(0, |text| text.len());
        let gate = Arc::clone(self);
        cancel.then(move || {
            let _state = gate.lock();
            gate.changed.notify_all();
        });
        let held = self.hold(bytes, cancel);
        cancel.forget();
        held
    }

    fn hold(self: &Arc<Self>, bytes: usize, cancel: &Cancel) -> Result<UnderWay, Failure> {
        let mut state = self.lock();
        if state.held >= CALLS || state.held_bytes.saturating_add(bytes) > BYTES {
            return Err(overloaded(state.held));
        }
        state.held += 1;
        state.held_bytes += bytes;
        while state.holds() && !cancel.is_set() {
            let left = state.left();
            let waited = self.changed.wait_timeout(state, left);
            state = waited.expect("no panic while it is held").0;
        }
        state.held -= 1;
        state.held_bytes -= bytes;
        if cancel.is_set() {
            return Err(cancelled());
        }
        state.under_way += 1;
        Ok(UnderWay(Arc::clone(self)))
    }

    /// Holds new calls from now on, and tells the verb when none is under way: at once where there
    /// is none. Those under way have `drain` to end, the verb `switch` from then on.
    pub fn close(&self, verb: UnixStream, drain: Duration, switch: Duration) {
        let now = Instant::now();
        let longest = Duration::from_secs(3600);
        let (drain, switch) = (drain.min(longest), switch.min(longest));
        let mut state = self.lock();
        state.hold = Some(Hold {
            until: now + drain + switch,
            switch,
            verb: Some((verb, state.under_way)),
        });
        state.may_be_drained();
        drop(state);
        self.changed.notify_all();
    }

    /// Whether calls begin at once.
    pub fn is_open(&self) -> bool {
        !self.lock().holds()
    }

    /// How many calls are held.
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// Lets all go on that are held.
    pub fn open(&self) {
        self.lock().hold = None;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }
}

impl State {
    fn holds(&self) -> bool {
        !self.left().is_zero()
    }

    /// How long calls are held from now on.
    fn left(&self) -> Duration {
        self.hold.as_ref().map_or(Duration::ZERO, |hold| {
            hold.until.saturating_duration_since(Instant::now())
        })
    }

    /// Tells the verb, once, where no call is under way.
    fn may_be_drained(&mut self) {
        let Some(hold) = self.hold.as_mut().filter(|_| self.under_way == 0) else {
            return;
        };
        if let Some((mut verb, calls)) = hold.verb.take() {
            hold.until = Instant::now() + hold.switch;
            let answer = serde_json::to_string(&Answered::Drained { calls });
            // A verb that is gone ends the hold by that.
            let _ = writeln!(verb, "{}", answer.expect("a number is JSON"));
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way -= 1;
        state.may_be_drained();
    }
}

fn overloaded(held: usize) -> Failure {
    let message = format!(
        "Live is being switched, and {held} calls wait for that already. This one was not run: call it \
         again later"
    );
    Failure::new("overloaded", 503, message)
}

fn cancelled() -> Failure {
    let message = "The call was called off before live was switched: whoever made it does not wait any more, or the \
         server ends. The method was not called";
    Failure::new("cancelled", 499, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::{
        io::{BufRead as _, BufReader},
        thread,
    };

    const LONG: Duration = Duration::from_secs(60);

    fn closed() -> (Arc<Gate>, UnixStream) {
        let (verb, ours) = UnixStream::pair().unwrap();
        let gate = Arc::new(Gate::default());
        gate.close(ours, LONG, LONG);
        (gate, verb)
    }

    fn until(what: impl Fn() -> bool) {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < LONG, "it never came");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_verb_is_told_when_the_last_call_ends() {
        let gate = Arc::new(Gate::default());
        let none = Cancel::default();
        let calls = [1, 2].map(|n| gate.enter(&json!(n), &none).unwrap());
        let (verb, ours) = UnixStream::pair().unwrap();
        gate.close(ours, LONG, LONG);
        let mut verb = BufReader::new(verb);
        let mut line = String::new();
        let ended = thread::spawn(move || drop(calls));
        verb.read_line(&mut line).unwrap();
        ended.join().unwrap();
        let answer: Answered = serde_json::from_str(&line).unwrap();
        assert_eq!(answer, Answered::Drained { calls: 2 });
    }

    #[test]
    fn a_held_call_goes_on_when_it_opens_and_when_the_time_is_over() {
        let (gate, _verb) = closed();
        thread::scope(|scope| {
            let held = scope.spawn(|| gate.enter(&json!(1), &Cancel::default()).is_ok());
            until(|| gate.lock().held == 1);
            gate.open();
            assert!(held.join().unwrap());
        });
        let (_verb, ours) = UnixStream::pair().unwrap();
        let short = Duration::from_millis(20);
        gate.close(ours, short, short);
        assert!(gate.enter(&json!(1), &Cancel::default()).is_ok());
    }

    #[test]
    fn a_held_call_can_be_called_off() {
        let (gate, _verb) = closed();
        let cancel = Cancel::default();
        thread::scope(|scope| {
            let held = scope.spawn(|| gate.enter(&json!(1), &cancel));
            until(|| gate.lock().held == 1);
            cancel.cancel();
            assert_eq!(held.join().unwrap().err().unwrap().code, "cancelled");
        });
        let state = gate.lock();
        assert_eq!((state.held, state.held_bytes), (0, 0));
    }

    #[test]
    fn no_more_are_held_than_there_is_room_for() {
        let (gate, _verb) = closed();
        let large = json!("x".repeat(BYTES));
        let refused = gate.enter(&large, &Cancel::default()).err().unwrap();
        assert_eq!((&*refused.code, refused.status), ("overloaded", 503));
        gate.lock().held = CALLS;
        let refused = gate.enter(&json!(1), &Cancel::default()).err().unwrap();
        assert_eq!(refused.code, "overloaded");
        gate.lock().held = 0;
    }
}
