//! What services outside are to be told of what is live: Discord and Telegram of the commands of
//! bots. It is computed from what is live and from the server secrets, and compared with what they
//! were told last: so nothing is to be written when live is switched, whoever switches it.

use crate::{
    files,
    secrets::{Secrets, Target},
    stamp::Stamp,
};
use remy_db::{
    Release, ReleaseId, Remy, Result,
    internals::{effects::BotCommand, outbox::Delivered, store::CATALOG},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Server secrets.
pub const DISCORD_APPLICATION: &str = "DISCORD_APPLICATION_ID";
/// See [`DISCORD_APPLICATION`].
pub const DISCORD_TOKEN: &str = "DISCORD_BOT_TOKEN";
/// What interactions are signed by.
pub const DISCORD_KEY: &str = "DISCORD_PUBLIC_KEY";
/// See [`DISCORD_APPLICATION`].
pub const TELEGRAM_TOKEN: &str = "TELEGRAM_BOT_TOKEN";
/// Where this server is, as others reach it: `https://shop.example.com`.
pub const PUBLIC_URL: &str = "PUBLIC_URL";

/// A service that bots are of.
pub struct Service {
    /// `discord`, `telegram`.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The server secret that says where it is.
    pub url: &'static str,
    /// Where it is, where that is not set.
    default: &'static str,
}

/// Discord.
pub const DISCORD: Service = Service {
    name: "discord",
    title: "Discord",
    url: "DISCORD_API_URL",
    default: "https://discord.com/api/v10",
};

/// Telegram.
pub const TELEGRAM: Service = Service {
    name: "telegram",
    title: "Telegram",
    url: "TELEGRAM_API_URL",
    default: "https://api.telegram.org",
};

impl Service {
    /// Where it is, without a `/` at the end, by what its server secret says.
    pub fn base(&self, said: Option<String>) -> String {
        let base = said.unwrap_or_else(|| self.default.to_owned());
        base.trim_end_matches('/').to_owned()
    }
}

/// The URL of a method of Telegram's, for the bot with a token.
pub fn telegram_method(base: &str, token: &str, method: &str) -> String {
    format!("{base}/bot{}/{method}", token.trim())
}

/// A request to a service.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `PUT`, `POST`.
    pub verb: &'static str,
    /// Where. It may have a secret in it.
    pub url: String,
    /// What the server is known by.
    pub authorization: Option<String>,
    /// What is told.
    pub body: Value,
}

/// What services are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The live release.
    pub release: ReleaseId,
    /// When it went live, Unix milliseconds, where the catalog says so.
    pub since: Option<i64>,
}

/// What a service is to be told.
pub struct Wanted {
    /// `discord`, `telegram`.
    pub service: &'static str,
    /// What is live.
    pub live: Live,
    /// What is to be told, in this order.
    pub requests: Vec<Request>,
    /// What stands for all of it.
    pub hash: String,
    /// The server secrets that it waits for.
    pub waits_for: Vec<&'static str>,
    /// How many commands there are.
    pub commands: usize,
    /// What it was told last.
    pub delivered: Delivered,
}

/// What a service has not been told yet, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// `discord`, `telegram`.
    pub service: &'static str,
    /// The live release, of which it is to be told.
    pub release: ReleaseId,
    /// When that went live, Unix milliseconds.
    pub since: Option<i64>,
    /// The release that it was told of last.
    pub told: Option<ReleaseId>,
    /// How often it could not be told of this one.
    pub attempts: u32,
    /// When that is tried again, Unix milliseconds.
    pub next_at: Option<i64>,
    /// Why it could not.
    pub error: Option<String>,
    /// The server secrets that have no value.
    pub waits_for: Vec<&'static str>,
}

impl Lag {
    /// Whether it can be told at a time, Unix milliseconds.
    pub fn is_due(&self, at: i64) -> bool {
        self.waits_for.is_empty() && self.next_at.is_none_or(|next| next <= at)
    }
}

impl Wanted {
    /// Whether the service has this.
    pub fn is_told(&self) -> bool {
        self.delivered.sent.as_ref() == Some(&self.hash)
    }

    /// How it stands.
    pub fn lag(&self) -> Lag {
        let is_tried = self.delivered.tried.as_ref() == Some(&self.hash);
        let of = |it: &Delivered| (it.attempts, it.next_at, it.error.clone());
        let (attempts, next_at, error) = if is_tried {
            of(&self.delivered)
        } else {
            (0, None, None)
        };
        Lag {
            service: self.service,
            release: self.live.release,
            since: self.live.since,
            told: self.delivered.release,
            attempts,
            next_at,
            error,
            waits_for: self.waits_for.clone(),
        }
    }
}

/// By which is seen that services may be to be told something else: of the catalog, to which whoever
/// switches live writes, and whoever tells them, and of the secrets.
pub fn stamps(store: &Path) -> [Stamp; 3] {
    let catalog = store.join(CATALOG);
    let wal = store.join(format!("{CATALOG}-wal"));
    [
        Stamp::of(&catalog),
        Stamp::of(&wal),
        Secrets::of(store).stamp(),
    ]
}

/// What services are to be told that is other than what they were.
pub fn wanted(remy: &Remy, store: &Path) -> Result<Vec<Wanted>> {
    let (release, effects) = remy.declared()?;
    let Some(release) = release else {
        return Ok(Vec::new());
    };
    let releases = remy.releases()?;
    let found = releases.iter().find(|it| it.release == release);
    let live = Live {
        release,
        since: found.and_then(|it| it.live_at),
    };
    let secrets = Secrets::of(store);
    let secret = |key: &str| secrets.server(key, Target::Prod);
    let of = |service: &str| {
        let is_it = move |it: &&BotCommand| it.platform == service;
        effects
            .bot_commands
            .iter()
            .filter(is_it)
            .collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    let (discord, delivered) = (of(DISCORD.name), remy.outbox().delivered(DISCORD.name)?);
    if !discord.is_empty() || delivered.sent.is_some() {
        let [application, token, base] =
            [DISCORD_APPLICATION, DISCORD_TOKEN, DISCORD.url].map(secret);
        all.push(discord_is_told(
            live,
            &discord,
            (application?, token?, base?),
            delivered,
        ));
    }
    let (telegram, delivered) = (of(TELEGRAM.name), remy.outbox().delivered(TELEGRAM.name)?);
    let is_served = has_interface(store, &releases, release, TELEGRAM.name);
    if is_served || !telegram.is_empty() || delivered.sent.is_some() {
        let [token, base, public] = [TELEGRAM_TOKEN, TELEGRAM.url, PUBLIC_URL].map(secret);
        let hook = match is_served {
            true => Hook::At(public?),
            false => Hook::None,
        };
        all.push(telegram_is_told(
            live,
            &telegram,
            (token?, base?, hook),
            delivered,
        ));
    }
    all.retain(|it| !it.is_told());
    Ok(all)
}

/// Whether the app of a release has an interface. One that was published without an app has none.
fn has_interface(store: &Path, releases: &[Release], release: ReleaseId, name: &str) -> bool {
    let kept = files::kept(store, releases, release).ok();
    kept.is_some_and(|kept| kept.join(format!("interfaces/{name}.json")).is_file())
}

fn discord_is_told(
    live: Live,
    commands: &[&BotCommand],
    (application, token, base): (Option<String>, Option<String>, Option<String>),
    delivered: Delivered,
) -> Wanted {
    let body: Vec<Value> = commands
        .iter()
        .map(|command| for_discord(command))
        .collect();
    let base = DISCORD.base(base);
    let waits_for = missing(&[(DISCORD_APPLICATION, &application), (DISCORD_TOKEN, &token)]);
    let application = application.unwrap_or_default();
    let request = Request {
        verb: "PUT",
        url: format!("{base}/applications/{}/commands", application.trim()),
        authorization: Some(format!("Bot {}", token.unwrap_or_default().trim())),
        body: body.into(),
    };
    of(
        DISCORD.name,
        live,
        vec![request],
        waits_for,
        commands.len(),
        delivered,
    )
}

fn for_discord(command: &BotCommand) -> Value {
    let mut told = Map::new();
    told.insert("name".to_owned(), command.name.as_str().into());
    told.insert(
        "description".to_owned(),
        command.description.clone().unwrap_or_default().into(),
    );
    told.extend(command.definition.clone());
    told.into()
}

/// Where updates of Telegram go.
enum Hook {
    /// To this server, at its public URL.
    At(Option<String>),
    /// The app takes none.
    None,
}

fn telegram_is_told(
    live: Live,
    commands: &[&BotCommand],
    (token, base, hook): (Option<String>, Option<String>, Hook),
    delivered: Delivered,
) -> Wanted {
    let body = |it: &&BotCommand| json!({ "command": it.name, "description": it.description });
    let commands_told: Vec<Value> = commands.iter().map(body).collect();
    let base = TELEGRAM.base(base);
    let waits_for = missing(&[(TELEGRAM_TOKEN, &token)]);
    let token = token.unwrap_or_default();
    let post = |method: &str, body: Value| Request {
        verb: "POST",
        url: telegram_method(&base, &token, method),
        authorization: None,
        body,
    };
    let mut requests = vec![post("setMyCommands", json!({ "commands": commands_told }))];
    match hook {
        Hook::At(Some(public)) => requests.push(post(
            "setWebhook",
            json!({
                "url": format!("{}/_/telegram", public.trim().trim_end_matches('/')),
                "secret_token": telegram_secret(&token),
            }),
        )),
        // Nobody says how this server is reached: whoever has set the webhook keeps it.
        Hook::At(None) => {}
        Hook::None => requests.push(post("deleteWebhook", json!({}))),
    }
    of(
        TELEGRAM.name,
        live,
        requests,
        waits_for,
        commands.len(),
        delivered,
    )
}

/// What Telegram says with each update, so that it is known: made of the bot's token, and so another
/// with that.
pub fn telegram_secret(token: &str) -> String {
    let secret = blake3::derive_key(
        "remy 2026-11-27 telegram webhook secret",
        token.trim().as_bytes(),
    );
    blake3::Hash::from_bytes(secret).to_hex().to_string()
}

fn missing(all: &[(&'static str, &Option<String>)]) -> Vec<&'static str> {
    let is_missing = |(_, value): &&(&str, &Option<String>)| value.is_none();
    all.iter().filter(is_missing).map(|(key, _)| *key).collect()
}

fn of(
    service: &'static str,
    live: Live,
    requests: Vec<Request>,
    waits_for: Vec<&'static str>,
    commands: usize,
    delivered: Delivered,
) -> Wanted {
    let mut hasher = blake3::Hasher::new();
    for Request {
        verb,
        url,
        authorization,
        body,
    } in &requests
    {
        // JSON says where each part ends.
        hasher.update(
            json!([verb, url, authorization, body])
                .to_string()
                .as_bytes(),
        );
    }
    Wanted {
        service,
        live,
        hash: hasher.finalize().to_hex().to_string(),
        requests,
        waits_for,
        commands,
        delivered,
    }
}
