//! Messages to pages that are open now: who publishes, who may listen, and who does. All of it is in
//! memory, and at most once: what nobody hears is gone. A record of it is for people alone.
//!
//! A grant is the whole right to listen, for a while: a method makes one for whom it has checked. Live,
//! each preview and each dev session are worlds of their own, which nothing leaves.

use crate::{
    failure::Failure,
    records::{self, Records, published},
    state::now,
    target::Target,
    token::{self, Hash, hash},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most channels of a publish, of a grant, and that a grant may publish to.
const PUBLISHED: usize = 500;
const GRANTED: usize = 100;
const PUBLISHES: usize = 20;

/// The most characters of a channel's name.
const NAME: usize = 200;

/// The most characters of a payload's JSON, of a method and of a page.
const PAYLOAD: usize = 32 << 10;
const PAYLOAD_OF_PAGE: usize = 8 << 10;

/// How often a page may publish in a second, and how many events at once.
const PER_SECOND: u32 = 30;
const BATCH: usize = 100;

/// How long a grant may live, in seconds, and does where nothing is said.
const SHORTEST: u64 = 60;
const LONGEST: u64 = 3600;
const USUAL: u64 = 900;

/// How many grants there may be at once: some hundred bytes each, for ten times as many pages as are
/// expected to be open.
const GRANTS: usize = 100_000;

/// Where events stay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World(String);

impl World {
    /// That of a target. A dev session is one, whatever it was built into.
    pub fn of(target: &Target) -> Self {
        Self(target.to_string())
    }
}

/// Hears events, as JSON: `{"channel", "data", "ts", "id"}`.
pub trait Ear: Send + Sync {
    /// Takes an event, or returns that it has no room for it. May not wait: all who listen are told
    /// one after the other.
    fn hear(&self, event: &Arc<str>) -> bool;
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// How many heard it; who listens on two of the channels hears it twice.
    pub delivered: usize,
    /// Of the events, one for each channel.
    pub id: String,
}

/// The right to listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// Whoever has it, listens.
    pub token: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: u64,
    /// How long it lives.
    pub ttl_seconds: u64,
}

/// What a grant is asked for with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long it is to live. It is taken for 60 to 3600 seconds.
    pub seconds: Option<u64>,
    /// Of the channels, those that may be published to with it.
    pub publishes: Vec<String>,
}

struct Grant {
    world: World,
    channels: Arc<[String]>,
    publishes: Vec<String>,
    until: Instant,
    /// Since when it was published with how often.
    spent: (Instant, u32),
}

type Ears = HashMap<u64, Arc<dyn Ear>>;

#[derive(Default)]
struct All {
    ears: HashMap<World, HashMap<String, Ears>>,
    /// By the hashes of their tokens.
    grants: HashMap<Hash, Grant>,
    next: u64,
}

/// All events of an app.
#[derive(Clone, Default)]
pub struct Events(Arc<Shared>);

#[derive(Default)]
struct Shared {
    all: Mutex<All>,
    /// Where what is published is told.
    records: Option<Records>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.lock();
        let grants = all.grants.len();
        f.debug_struct("Events")
            .field("grants", &grants)
            .finish_non_exhaustive()
    }
}

/// Somebody listens, as long as this is there.
pub struct Listening {
    events: Events,
    world: World,
    channels: Arc<[String]>,
    number: u64,
    /// When the grant ends.
    pub until: Instant,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut all = self.events.lock();
        let Some(channels) = all.ears.get_mut(&self.world) else {
            return;
        };
        for channel in &*self.channels {
            if let Some(ears) = channels.get_mut(channel) {
                ears.remove(&self.number);
                if ears.is_empty() {
                    channels.remove(channel);
                }
            }
        }
        if channels.is_empty() {
            all.ears.remove(&self.world);
        }
    }
}

impl Events {
    /// Events of which a record is kept.
    pub fn recorded(records: Records) -> Self {
        Self(Arc::new(Shared {
            all: Mutex::default(),
            records: Some(records),
        }))
    }

    /// Tells all who listen. Fails with `invalid_channel` and `payload_too_large`.
    pub fn publish(
        &self,
        world: &World,
        channels: &[String],
        data: &Value,
    ) -> Result<Published, Failure> {
        fits(data, PAYLOAD)?;
        self.tell(world, channels, data)
    }

    /// The same for a page, by its grant: all of a batch, or nothing. Returns how many heard it.
    ///
    /// Fails with `invalid_grant` (401), `forbidden` (403) for a channel that the grant does not
    /// publish to, and `rate_limited` (429), too.
    pub fn publish_by(
        &self,
        world: &World,
        token: &str,
        batch: &[(Vec<String>, Value)],
    ) -> Result<usize, Failure> {
        if batch.len() > BATCH {
            let message = format!(
                "{} events at once, and {BATCH} are taken. Nothing was published",
                batch.len()
            );
            return Err(Failure::new("payload_too_large", 413, message));
        }
        for (channels, data) in batch {
            checked(channels, PUBLISHED)?;
            fits(data, PAYLOAD_OF_PAGE)?;
        }
        {
            let mut all = self.lock();
            let grant = all.grant(world, token)?;
            let mut named = batch.iter().flat_map(|(channels, _)| channels);
            if let Some(other) = named.find(|it| !grant.publishes.contains(it)) {
                let message =
                    format!("this grant does not publish to {other}. Nothing was published");
                return Err(Failure::new("forbidden", 403, message));
            }
            if grant.spent.0.elapsed() >= Duration::from_secs(1) {
                grant.spent = (Instant::now(), 0);
            }
            grant.spent.1 += 1;
            if grant.spent.1 > PER_SECOND {
                let message = format!(
                    "more than {PER_SECOND} in a second with one grant. Nothing was published"
                );
                return Err(Failure::new("rate_limited", 429, message));
            }
        }
        let tell = |(channels, data): &(Vec<String>, Value)| self.tell(world, channels, data);
        batch
            .iter()
            .map(tell)
            .try_fold(0, |all, told| Ok(all + told?.delivered))
    }

    /// Makes a grant. Fails with `invalid_channel`, and with `overloaded` where there are too many.
    pub fn grant(
        &self,
        world: &World,
        channels: &[String],
        terms: &Terms,
    ) -> Result<Granted, Failure> {
        let channels = checked(channels, GRANTED)?;
        let publishes = match terms.publishes.is_empty() {
            true => Vec::new(),
            false => checked(&terms.publishes, PUBLISHES)?,
        };
        if let Some(other) = publishes.iter().find(|it| !channels.contains(it)) {
            return Err(invalid(&format!(
                "{other} is none of the grant's own channels"
            )));
        }
        let seconds = terms.seconds.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
        let lives = Duration::from_secs(seconds);
        let token = token::new("evt_")?;
        let grant = Grant {
            world: world.clone(),
            channels: channels.into(),
            publishes,
            until: Instant::now() + lives,
            spent: (Instant::now(), 0),
        };
        let mut all = self.lock();
        if all.grants.len() >= GRANTS {
            all.forget_expired();
        }
        if all.grants.len() >= GRANTS {
            let message = format!("there are {GRANTS} grants already. None was made");
            return Err(Failure::new("overloaded", 503, message));
        }
        all.grants.insert(hash(&token), grant);
        Ok(Granted {
            token,
            expires_at: now().cast_unsigned() + lives.as_millis() as u64,
            ttl_seconds: seconds,
        })
    }

    /// Listens with a grant of this world. Fails with `invalid_grant` (401).
    pub fn listen(
        &self,
        world: &World,
        token: &str,
        ear: Arc<dyn Ear>,
    ) -> Result<Listening, Failure> {
        let mut all = self.lock();
        let grant = all.grant(world, token)?;
        let (channels, until) = (grant.channels.clone(), grant.until);
        all.next += 1;
        let number = all.next;
        let ears = all.ears.entry(world.clone()).or_default();
        for channel in &*channels {
            let heard = ears.entry(channel.clone()).or_default();
            heard.insert(number, ear.clone());
        }
        Ok(Listening {
            events: self.clone(),
            world: world.clone(),
            channels,
            number,
            until,
        })
    }

    fn tell(&self, world: &World, channels: &[String], data: &Value) -> Result<Published, Failure> {
        let channels = checked(channels, PUBLISHED)?;
        let id = records::new_id().map_err(crate::target::of_core)?;
        let ts = now();
        let mut delivered = 0;
        for channel in &channels {
            let heard = self.tell_channel(world, channel, || {
                let event = json!({ "channel": channel, "data": data, "ts": ts, "id": id });
                event.to_string().into()
            });
            delivered += heard;
            if let Some(records) = &self.0.records {
                records.published(published::Event {
                    id: id.clone(),
                    at: ts,
                    world: world.0.clone(),
                    channel: channel.clone(),
                    data: data.clone(),
                    delivered: u32::try_from(heard).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(Published { delivered, id })
    }

    /// How many heard it.
    fn tell_channel(
        &self,
        world: &World,
        channel: &str,
        event: impl FnOnce() -> Arc<str>,
    ) -> usize {
        let all = self.lock();
        let Some(ears) = all.ears.get(world).and_then(|all| all.get(channel)) else {
            return 0;
        };
        let event = event();
        ears.values().filter(|ear| ear.hear(&event)).count()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn grant(&mut self, world: &World, token: &str) -> Result<&mut Grant, Failure> {
        let found = self.grants.get_mut(&hash(token));
        let found = found.filter(|it| it.world == *world && it.until > Instant::now());
        found.ok_or_else(|| {
            let message = "this grant is none, or has expired. Ask the app for another one";
            Failure::new("invalid_grant", 401, message)
        })
    }

    fn forget_expired(&mut self) {
        let now = Instant::now();
        self.grants.retain(|_, grant| grant.until > now);
    }
}

fn fits(data: &Value, most: usize) -> Result<(), Failure> {
    let length = data.to_string().chars().count();
    if length <= most {
        return Ok(());
    }
    let message = format!(
        "a payload has {most} characters of JSON at most, and this has {length}. Nothing was published. Publish ids, and let pages fetch"
    );
    Err(Failure::new("payload_too_large", 413, message))
}

/// The channels, each once.
fn checked(channels: &[String], most: usize) -> Result<Vec<String>, Failure> {
    if channels.is_empty() || channels.len() > most {
        let message = format!(
            "{} channels are named, and 1 to {most} are taken",
            channels.len()
        );
        return Err(invalid(&message));
    }
    let is_sign = |c: u8| c.is_ascii_alphanumeric() || b":_.-".contains(&c);
    let is_name =
        |name: &&String| !name.is_empty() && name.len() <= NAME && name.bytes().all(is_sign);
    if let Some(bad) = channels.iter().find(|name| !is_name(name)) {
        let shown: String = bad.chars().take(NAME).collect();
        return Err(invalid(&format!(
            "{shown:?} is no name of a channel: it has letters, digits and : _ . - and {NAME} characters at most"
        )));
    }
    let mut seen = BTreeSet::new();
    Ok(channels
        .iter()
        .filter(|name| seen.insert(*name))
        .cloned()
        .collect())
}

fn invalid(why: &str) -> Failure {
    Failure::new("invalid_channel", 400, format!("{why}. Nothing was done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>, usize);

    impl Ear for Heard {
        fn hear(&self, event: &Arc<str>) -> bool {
            let mut heard = self.0.lock().unwrap();
            let has_room = self.1 == 0 || heard.len() < self.1;
            if has_room {
                heard.push(event.to_string());
            }
            has_room
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn live() -> World {
        World::of(&Target::Live)
    }

    #[test]
    fn who_has_a_grant_hears_its_channels_until_it_listens_no_more() {
        let events = Events::default();
        let granted = events
            .grant(&live(), &names(&["a", "b"]), &Terms::default())
            .unwrap();
        assert_eq!(granted.ttl_seconds, 900);
        let heard = Arc::new(Heard::default());
        let listening = events
            .listen(&live(), &granted.token, heard.clone())
            .unwrap();
        let published = events
            .publish(&live(), &names(&["a", "b", "c"]), &json!({ "n": 1 }))
            .unwrap();
        assert_eq!(published.delivered, 2);
        let first: Value = serde_json::from_str(&heard.0.lock().unwrap()[0]).unwrap();
        assert_eq!(
            (&first["channel"], &first["data"], &first["id"]),
            (&json!("a"), &json!({ "n": 1 }), &json!(published.id))
        );
        drop(listening);
        let after = events.publish(&live(), &names(&["a"]), &json!(2)).unwrap();
        assert_eq!(after.delivered, 0);
        assert!(events.lock().ears.is_empty(), "nothing is left of it");
    }

    #[test]
    fn worlds_never_mix() {
        let events = Events::default();
        let worlds = [
            live(),
            World::of(&Target::Preview("live".to_owned())),
            World::of(&Target::Preview("x".to_owned())),
            World::of(&Target::Dev {
                name: "x".to_owned(),
                built: "/a".into(),
            }),
        ];
        let granted: Vec<_> = worlds
            .iter()
            .map(|world| {
                events
                    .grant(world, &names(&["a"]), &Terms::default())
                    .unwrap()
            })
            .collect();
        let mut all = Vec::new();
        for (world, granted) in worlds.iter().zip(&granted) {
            let heard = Arc::new(Heard::default());
            all.push((
                heard.clone(),
                events.listen(world, &granted.token, heard).unwrap(),
            ));
            for other in worlds.iter().filter(|other| *other != world) {
                let ear = Arc::new(Heard::default());
                let refused = events.listen(other, &granted.token, ear).err().unwrap();
                assert_eq!((&*refused.code, refused.status), ("invalid_grant", 401));
            }
        }
        for world in &worlds {
            assert_eq!(
                events
                    .publish(world, &names(&["a"]), &json!(1))
                    .unwrap()
                    .delivered,
                1
            );
        }
        assert!(
            all.iter()
                .all(|(heard, _)| heard.0.lock().unwrap().len() == 1)
        );
        // Another build of a session is the same one.
        let built = Target::Dev {
            name: "x".to_owned(),
            built: "/b".into(),
        };
        assert_eq!(World::of(&built), worlds[3]);
    }

    #[test]
    fn what_is_too_much_or_no_name_is_refused() {
        let events = Events::default();
        let many = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let code = |channels: &[String], data: &Value| {
            let done = events.publish(&live(), channels, data);
            done.map_err(|e| e.code).err().unwrap_or_default()
        };
        assert_eq!(code(&many(500), &json!(1)), "");
        let long = "x".repeat(201);
        for bad in ["", "a b", "a/b", "*", "ü", &long] {
            assert_eq!(code(&names(&[bad]), &json!(1)), "invalid_channel", "{bad}");
        }
        assert_eq!(code(&[], &json!(1)), "invalid_channel");
        assert_eq!(code(&many(501), &json!(1)), "invalid_channel");
        assert_eq!(code(&many(1), &json!("x".repeat(PAYLOAD - 2))), "");
        assert_eq!(
            code(&many(1), &json!("x".repeat(PAYLOAD - 1))),
            "payload_too_large"
        );
        let grant = |n: usize, publishes: &[String], seconds| {
            let terms = Terms {
                seconds,
                publishes: publishes.to_vec(),
            };
            events.grant(&live(), &many(n), &terms)
        };
        assert_eq!(grant(101, &[], None).unwrap_err().code, "invalid_channel");
        assert_eq!(
            grant(30, &many(21), None).unwrap_err().code,
            "invalid_channel"
        );
        assert_eq!(
            grant(1, &names(&["other"]), None).unwrap_err().code,
            "invalid_channel"
        );
        assert_eq!(grant(100, &many(20), Some(1)).unwrap().ttl_seconds, 60);
        assert_eq!(grant(1, &[], Some(u64::MAX)).unwrap().ttl_seconds, 3600);
    }

    #[test]
    fn a_page_publishes_where_its_grant_does_and_not_without_end() {
        let events = Events::default();
        let terms = Terms {
            seconds: None,
            publishes: names(&["a"]),
        };
        let token = events
            .grant(&live(), &names(&["a", "b"]), &terms)
            .unwrap()
            .token;
        let by = |token: &str, channel: &str, data: &Value| {
            let batch = [(names(&[channel]), data.clone())];
            let done = events.publish_by(&live(), token, &batch);
            done.map_err(|e| (e.code, e.status)).err()
        };
        let refused = |code: &str, status| Some((code.to_owned(), status));
        assert_eq!(by(&token, "b", &json!(1)), refused("forbidden", 403));
        assert_eq!(by("evt_x", "a", &json!(1)), refused("invalid_grant", 401));
        let large = json!("x".repeat(PAYLOAD_OF_PAGE));
        assert_eq!(by(&token, "a", &large), refused("payload_too_large", 413));
        let ends: BTreeSet<_> = (0..2 * PER_SECOND)
            .map(|_| by(&token, "a", &json!(1)))
            .collect();
        assert_eq!(ends, BTreeSet::from([None, refused("rate_limited", 429)]));
    }

    #[test]
    fn an_ear_without_room_hears_nothing_and_holds_nobody_up() {
        let events = Events::default();
        let token = events
            .grant(&live(), &names(&["a"]), &Terms::default())
            .unwrap()
            .token;
        let heard = Arc::new(Heard(Mutex::default(), 1));
        let _listening = events.listen(&live(), &token, heard).unwrap();
        let delivered = || {
            events
                .publish(&live(), &names(&["a"]), &json!(1))
                .unwrap()
                .delivered
        };
        assert_eq!((delivered(), delivered()), (1, 0));
    }

    #[test]
    fn a_grant_ends_and_is_forgotten() {
        let events = Events::default();
        let token = events
            .grant(&live(), &names(&["a"]), &Terms::default())
            .unwrap()
            .token;
        events.lock().grants.get_mut(&hash(&token)).unwrap().until = Instant::now();
        let ear = Arc::new(Heard::default());
        let ended = events.listen(&live(), &token, ear).err().unwrap();
        assert_eq!(ended.code, "invalid_grant");
        events.lock().forget_expired();
        assert!(events.lock().grants.is_empty());
    }
}
