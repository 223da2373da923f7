//! How a server is set up, and all of its limits.

use crate::operation::log::Log;
use std::{fmt, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How methods are run.
    pub methods: remy_db_runtime::served::Settings,
    /// The names by which live is known, besides those of this machine.
    pub hosts: Vec<String>,
    /// Where previews are, besides `NAME.localhost`.
    pub previews: Option<PreviewHost>,
    /// The addresses of proxies whose `X-Forwarded-*` counts.
    pub proxies: Vec<IpAddr>,
    /// The time zone of the schedules of cron jobs, by its name; UTC, where none is named.
    pub timezone: Option<String>,
    /// How much, and how long.
    pub limits: Limits,
    /// Shows codes of logins to whoever runs the server, in the place of sending them.
    pub show_code: Option<ShowCode>,
    /// Where requests are told of.
    pub log: Log,
}

/// Shows a code to whoever runs the server: an address, and its code.
#[derive(Clone)]
pub struct ShowCode(pub Arc<Show>);

/// What is called with an address, and its code.
pub type Show = dyn Fn(&str, &str) + Send + Sync;

impl fmt::Debug for ShowCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShowCode")
    }
}

/// The hosts of previews: `*.example.com`, where `*` is a preview's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewHost(String);

impl PreviewHost {
    /// The preview that a host is of, if it is of one.
    pub(crate) fn name<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host.strip_suffix(&self.0)?;
        (!name.is_empty()).then_some(name)
    }
}

impl FromStr for PreviewHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let suffix = text.strip_prefix('*').unwrap_or_default();
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if suffix.len() > 1 && suffix.starts_with('.') && suffix.chars().all(is_host) {
            return Ok(Self(suffix.to_ascii_lowercase()));
        }
        Err(format!(
            "{text:?} is no \"*.example.com\", where * is a preview's name"
        ))
    }
}

/// How much, and how long. Each stands here alone.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at once. One more takes the place of the one that has been silent for
    /// longest.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be silent between two.
    pub head: Duration,
    /// The most bytes of a request's head.
    pub head_bytes: usize,
    /// The most bytes of a body of JSON.
    pub body_bytes: usize,
    /// The most bytes of a message that comes by e-mail.
    pub mail_bytes: usize,
    /// How long such a body may take.
    pub body: Duration,
    /// The most bytes of a file that is uploaded.
    pub file_bytes: u64,
    /// How long such a file may take.
    pub upload: Duration,
    /// The most files that are uploaded at once.
    pub uploads: usize,
    /// How long what is sent may wait to be taken.
    pub unread: Duration,
    /// The most calls of methods at once, those that wait among them: each has a thread.
    pub calls: usize,
    /// The most bytes of what a method streams that nobody has read yet.
    pub stream_bytes: usize,
    /// How often who reads a stream is told that it goes on.
    pub beat: Duration,
    /// How long what is under way may go on when the server ends.
    pub end: Duration,
    /// How long a page of a dev session waits for its dev server to listen.
    pub starts: Duration,
}

impl Limits {
    /// The same, but for the size of a body.
    pub(crate) fn with_body(self, bytes: usize) -> Self {
        Self {
            body_bytes: bytes,
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            // Proxies keep a connection for a minute, and close it first.
            head: Duration::from_secs(75),
            head_bytes: 64 << 10,
            body_bytes: 10 << 20,
            mail_bytes: 25 << 20,
            body: Duration::from_secs(60),
            file_bytes: 100 << 20,
            upload: Duration::from_secs(600),
            uploads: 32,
            unread: Duration::from_secs(60),
            // As many as a switch of live holds back, and some that run.
            calls: 1200,
            stream_bytes: 4 << 20,
            beat: Duration::from_secs(15),
            // systemd kills after 90 seconds.
            end: Duration::from_secs(60),
            starts: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PreviewHost;

    #[test]
    fn a_preview_has_a_name_before_the_rest() {
        let hosts: PreviewHost = "*.Example.com".parse().unwrap();
        assert_eq!(hosts.name("red.example.com"), Some("red"));
        assert_eq!(hosts.name("a.b.example.com"), Some("a.b"));
        for other in [
            "example.com",
            ".example.com",
            "redexample.com",
            "red.example.org",
        ] {
            assert_eq!(hosts.name(other), None, "{other}");
        }
        for wrong in [
            "",
            "*",
            "*.",
            "example.com",
            "*example.com",
            "*.a b",
            "*.a/b",
        ] {
            assert!(wrong.parse::<PreviewHost>().is_err(), "{wrong}");
        }
    }
}
