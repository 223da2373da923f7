//! Asks other machines by HTTP, for the server itself: one answer from who was asked, of a bounded
//! size and in a bounded time. No redirect is followed: a secret goes where it was meant to go.

use crate::failure::Failure;
use rustls::crypto::ring;
use serde_json::Value;
use std::{
    io::Read as _,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};
use ureq::{
    Agent, AsSendBody,
    http::{HeaderMap, Request, Response, Uri},
    tls::{Certificate, RootCerts, TlsConfig},
};

/// The most bytes of an answer. A method gets it in a frame, which holds twice as much.
const LARGEST: u64 = 32 << 20;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How often it is asked again who is too busy for now.
const AGAIN: u32 = 3;

/// The longest that is waited for who says when to ask again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Whether the answer of a request is still waited for.
pub(crate) type Wanted<'a> = &'a dyn Fn() -> bool;

/// A request.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Where.
    pub url: &'a str,
    /// What the server is known by there.
    pub bearer: Option<&'a str>,
    /// What is posted; without it, the request gets.
    pub body: Option<&'a Value>,
    /// How long the whole of it may take.
    pub within: Duration,
}

/// A request of another kind than [`Ask`] has.
#[derive(Clone, Copy)]
pub struct Tell<'a> {
    /// `PUT`, say.
    pub verb: &'a str,
    /// Where. No message has more of it than its host: there may be a secret in it.
    pub url: &'a str,
    /// What the server is known by there, if it is.
    pub authorization: Option<&'a str>,
    /// What is told.
    pub body: &'a Value,
    /// How long the whole of it may take.
    pub within: Duration,
}

/// An answer, whatever its status is.
#[derive(Debug)]
pub struct Answered {
    /// 200 to 599.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body. What is no UTF-8 is replaced.
    pub body: String,
}

impl Answered {
    /// A header, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How long `Retry-After` says, and `longest` at most. Dates are not read: who is asked here says
    /// seconds.
    pub fn retry_after(&self, longest: Duration) -> Option<Duration> {
        let seconds: f64 = self.header("retry-after")?.trim().parse().ok()?;
        let said = Duration::try_from_secs_f64(seconds).ok()?;
        Some(said.min(longest))
    }
}

/// Asks; keeps connections for the next time.
#[derive(Debug, Default)]
pub struct Client(OnceLock<Agent>);

impl Client {
    /// Asks once. Fails with `service_unreachable`, `timed_out` or `reply_too_large`; any status is
    /// an answer.
    pub fn ask(&self, ask: Ask<'_>) -> Result<Answered, Failure> {
        answered(ask, self.send(ask))
    }

    /// Tells once. Fails as [`Client::ask`] does.
    pub fn tell(&self, tell: Tell<'_>) -> Result<Answered, Failure> {
        let ask = Ask {
            url: tell.url,
            bearer: None,
            body: Some(tell.body),
            within: tell.within,
        };
        answered(ask, self.send_by(tell.verb, ask, tell.authorization))
    }

    /// Asks once, and gives what is answered to `take`, part by part, until that has enough; then, and
    /// where the status is no success, the answer has no body but what came of that.
    pub fn ask_in_parts(
        &self,
        ask: Ask<'_>,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Answered, Failure> {
        let sent = self.send(ask).map_err(|e| failure(ask, &e))?;
        if !sent.status().is_success() {
            return answered(ask, Ok(sent));
        }
        let (parts, body) = sent.into_parts();
        let mut reader = body.into_reader();
        let mut part = vec![0; 16 << 10];
        loop {
            let read = reader.read(&mut part);
            let read = read.map_err(|e| failure(ask, &ureq::Error::Io(e)))?;
            if read == 0 || !take(&part[..read]) {
                break;
            }
        }
        Ok(Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::new(),
        })
    }

    /// Asks, and again where the answer is that it is too much for now.
    pub(crate) fn ask_again(
        &self,
        ask: Ask<'_>,
        is_wanted: Wanted<'_>,
    ) -> Result<Answered, Failure> {
        for again in 0.. {
            let answered = self.ask(ask)?;
            if again == AGAIN || !matches!(answered.status, 429 | 502 | 503 | 504) {
                return Ok(answered);
            }
            let said = answered.retry_after(LONGEST_WAIT);
            pause(said.unwrap_or(Duration::from_secs(1 << again)), is_wanted)?;
        }
        unreachable!("the loop ends by its last answer")
    }

    fn send(&self, ask: Ask<'_>) -> Result<Response<ureq::Body>, ureq::Error> {
        let verb = if ask.body.is_some() { "POST" } else { "GET" };
        let bearer = ask.bearer.map(|bearer| format!("Bearer {bearer}"));
        self.send_by(verb, ask, bearer.as_deref())
    }

    fn send_by(
        &self,
        verb: &str,
        ask: Ask<'_>,
        authorization: Option<&str>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder().uri(ask.url).method(verb);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        match ask.body {
            None => self.run(request.body(())?, ask.within),
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.run(request.body(body.to_string())?, ask.within)
            }
        }
    }

    fn run(
        &self,
        request: Request<impl AsSendBody>,
        within: Duration,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let agent = self.0.get_or_init(agent);
        let is_local = request.uri().host().is_some_and(is_local);
        let config = agent
            .configure_request(request)
            .timeout_global(Some(within));
        // What stays on this machine, in the clear, goes by no proxy.
        let config = if is_local { config.proxy(None) } else { config };
        agent.run(config.build())
    }
}

/// An answer, read to its end.
fn answered(
    ask: Ask<'_>,
    sent: Result<Response<ureq::Body>, ureq::Error>,
) -> Result<Answered, Failure> {
    let failed = |e: ureq::Error| failure(ask, &e);
    let (parts, mut body) = sent.map_err(failed)?.into_parts();
    let bytes = body.with_config().limit(LARGEST).read_to_vec();
    let body = match String::from_utf8(bytes.map_err(failed)?) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    };
    Ok(Answered {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    })
}

fn agent() -> Agent {
    // Those of this machine, as all its programs trust them, and none of the program's own.
    let trusted = rustls_native_certs::load_native_certs().certs;
    let trusted = trusted
        .iter()
        .map(|one| Certificate::from_der(one).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(CONNECT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("remy/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Whether a URL is one that secrets may go to: by TLS, or on this machine. None has a secret in
/// itself: it is shown in messages.
pub fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return false;
    };
    let names_user = uri
        .authority()
        .is_some_and(|whole| whole.as_str().contains('@'));
    !names_user && (uri.scheme_str() == Some("https") || is_local(host))
}

/// Whether a host is this machine, whatever a name server says.
pub(crate) fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |host: &str| {
        host.parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    host == "localhost" || is_loopback(host)
}

/// Waits, as long as somebody wants what comes then. Fails with `cancelled`.
pub(crate) fn pause(time: Duration, is_wanted: Wanted<'_>) -> Result<(), Failure> {
    let until = Instant::now() + time;
    loop {
        if !is_wanted() {
            return Err(Failure::new("cancelled", 499, "nobody waits for it"));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(200)));
    }
}

fn failure(ask: Ask<'_>, e: &ureq::Error) -> Failure {
    let uri = ask.url.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("the host");
    match e {
        ureq::Error::Timeout(_) => {
            let message = format!("{host} has not answered within {:?}", ask.within);
            Failure::new("timed_out", 504, message)
        }
        ureq::Error::BodyExceedsLimit(_) => {
            let message = format!("{host} answered with more than {} MiB", LARGEST >> 20);
            Failure::new("reply_too_large", 502, message)
        }
        e => {
            let message = format!("{host} cannot be reached: {e}");
            Failure::new("service_unreachable", 502, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_tls_or_stay_on_this_machine() {
        for (url, safe) in [
            ("https://v1.mindstudio-api.com", true),
            ("http://127.0.0.1:3129/x", true),
            ("http://[::1]:3129", true),
            ("http://localhost", true),
            ("http://example.com", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("https://user:hush@example.com", false),
            ("ftp://example.com", false),
            ("example.com", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url), safe, "{url}");
        }
    }

    #[test]
    fn what_retry_after_says_is_bounded() {
        let said = |text: &str| {
            let mut answered = Answered {
                status: 429,
                headers: HeaderMap::new(),
                body: String::new(),
            };
            let value = text.parse().unwrap();
            answered.headers.insert("retry-after", value);
            answered.retry_after(LONGEST_WAIT)
        };
        assert_eq!(said("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(said("0"), Some(Duration::ZERO));
        assert_eq!(said("99999999999"), Some(LONGEST_WAIT));
        for no in ["-1", "NaN", "inf", "Fri, 27 Nov 2026 08:36:19 GMT", ""] {
            assert_eq!(said(no), None, "{no}");
        }
    }
}
