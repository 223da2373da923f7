//! What is served on which host, and who may ask for it from a page.
//!
//! A page of another site can make a browser send requests here, with the cookies that it has for
//! this host (CSRF), and a name of another site can be made to lead here (DNS rebinding), so that
//! its pages are of this server's origin. So only names that this server was given are taken, and
//! what a page asks for has to be of the page's own origin. Each preview has an origin of its own:
//! its code is not let at live's login.

use crate::{answer::Refusal, settings::Settings};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header, uri::Authority};
use remy_db_runtime::files::Signature;
use std::net::IpAddr;

/// What is served on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The live release.
    Live,
    /// A preview, by its name in small letters.
    Preview(String),
}

/// Whom a request is for, and from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub place: Place,
    /// The origin that whoever asks knows it by: `https://shop.example.com`.
    pub origin: String,
    /// Whether that is one which this server was given, or one of this machine: whoever asks by an
    /// address, or through a proxy, may name any.
    is_given: bool,
    /// Whether the browser speaks TLS, to the proxy.
    pub is_secure: bool,
    /// Who asks.
    pub client: IpAddr,
    /// Whether no page of another origin asks.
    pub is_own: bool,
}

impl Judged {
    /// The origin that links for others may begin with: not one that whoever asks has made up.
    pub fn given_origin(&self) -> Option<String> {
        self.is_given.then(|| self.origin.clone())
    }
}

/// Refuses hosts and origins of others.
pub(crate) fn judge(
    settings: &Settings,
    peer: IpAddr,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Result<Judged, Refusal> {
    let is_proxied = settings.proxies.contains(&peer.to_canonical());
    let forwarded = |name: &'static str| {
        let value = is_proxied.then(|| last(headers, HeaderName::from_static(name)));
        value.flatten()
    };
    let host = match forwarded("x-forwarded-host") {
        Some(host) => host,
        None => only(headers, header::HOST)?,
    };
    let (name, port) = split(host)?;
    let (place, is_given) = place(settings, is_proxied, &name)?;
    let is_own = is_same_origin(method, headers, (&name, port));
    let path = uri.path();
    // What is read without effect is no harm; whoever is of another origin cannot read it.
    let is_for_all = is_for_programs(path) || is_read(method) && is_link(uri);
    if !is_own && !is_for_all && (is_called(path) || !is_read(method)) {
        return Err(foreign_origin());
    }
    let client = forwarded("x-forwarded-for").and_then(|address| address.parse().ok());
    let is_secure = forwarded("x-forwarded-proto") == Some("https");
    let scheme = if is_secure { "https" } else { "http" };
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    Ok(Judged {
        place,
        origin: format!("{scheme}://{name}{port}"),
        is_given,
        is_secure,
        client: client.unwrap_or(peer).to_canonical(),
        is_own,
    })
}

/// The last value of a list: each proxy adds its own at the end.
fn last(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let value = value.rsplit(',').next().unwrap_or_default().trim();
    (!value.is_empty()).then_some(value)
}

fn only(headers: &HeaderMap, name: HeaderName) -> Result<&str, Refusal> {
    let mut all = headers.get_all(&name).iter();
    match (all.next().map(|value| value.to_str()), all.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(wrong_host()),
    }
}

/// A host without its port, in small letters, and the port.
fn split(host: &str) -> Result<(String, Option<u16>), Refusal> {
    let authority: Authority = host.parse().map_err(|_| wrong_host())?;
    let port = authority.port_u16();
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    if host.contains('@') || name.is_empty() {
        return Err(wrong_host());
    }
    Ok((name, port))
}

/// What is served on a host, and whether that is one that this server was given, or of this machine.
fn place(settings: &Settings, is_proxied: bool, name: &str) -> Result<(Place, bool), Refusal> {
    let is_known = |known: &String| known.eq_ignore_ascii_case(name);
    if name == "localhost" || settings.hosts.iter().any(is_known) {
        return Ok((Place::Live, true));
    }
    let address = name.trim_start_matches('[').trim_end_matches(']');
    // A browser that has an address in the place of a name was given that, and nobody's name leads
    // elsewhere.
    if let Ok(address) = address.parse::<IpAddr>() {
        return Ok((Place::Live, address.is_loopback()));
    }
    let of_preview = settings.previews.as_ref();
    let preview = of_preview.and_then(|hosts| hosts.name(name));
    match preview.or_else(|| name.strip_suffix(".localhost")) {
        Some(preview) if !preview.is_empty() => Ok((Place::Preview(preview.to_owned()), true)),
        // The proxy says for whom it stands.
        _ if is_proxied => Ok((Place::Live, false)),
        _ => Err(Refusal::new(
            421,
            "unknown_host",
            format!("This server is not {name}. Start it with --public-host {name} if it is to be"),
        )),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_same_origin(method: &Method, headers: &HeaderMap, host: (&str, Option<u16>)) -> bool {
    match headers.get(header::ORIGIN) {
        Some(origin) => origin.to_str().is_ok_and(|origin| is_of(origin, host)),
        // A browser that is asked by a page says so.
        None => match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
            None | Some(b"same-origin" | b"none") => true,
            Some(_) => {
                let mode = headers.get("sec-fetch-mode");
                is_read(method) && mode.is_some_and(|it| it == "navigate")
            }
        },
    }
}

/// A page of another origin asks for what is not its to ask for.
pub(crate) fn foreign_origin() -> Refusal {
    Refusal::new(
        403,
        "foreign_origin",
        "A page of another site may not ask for this",
    )
}

/// Whether an origin is that of a host.
fn is_of(origin: &str, (name, port): (&str, Option<u16>)) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let by_scheme = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let is_name = origin
        .host()
        .is_some_and(|host| host.eq_ignore_ascii_case(name));
    is_name && origin.port_u16().unwrap_or(by_scheme) == port.unwrap_or(by_scheme)
}

/// Whether something is called, and no file read.
fn is_called(path: &str) -> bool {
    path.starts_with("/_/") || path.starts_with("/_internal/") || path.starts_with("/developer/")
}

/// Whether a private file is asked for by a link, wherever it is shown: no cookie counts then.
fn is_link(uri: &Uri) -> bool {
    let signature = uri.query().and_then(Signature::of_query);
    uri.path().starts_with("/_/files/private/") && signature.is_some()
}

/// What programs ask for, of any origin, by a key or a secret and never by a cookie.
fn is_for_programs(path: &str) -> bool {
    let below = |prefix: &str| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    [
        "/_/api",
        "/_/mcp",
        "/_/webhook",
        "/_internal/v2/webhook",
        "/_/email",
        "/_/discord",
        "/_/telegram",
        // What everybody may read, wherever it is shown.
        "/_/files/public",
    ]
    .into_iter()
    .any(below)
}

fn wrong_host() -> Refusal {
    Refusal::new(
        400,
        "invalid_host",
        "The request does not say for which host it is",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        settings: &Settings,
        method: &Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Judged, String> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, value.parse().unwrap());
        }
        let uri = path.parse().unwrap();
        judge(settings, [127, 0, 0, 1].into(), (method, &uri, &all)).map_err(|e| e.code)
    }

    fn settings() -> Settings {
        Settings {
            hosts: vec!["shop.example.com".to_owned()],
            previews: Some("*.pre.example.com".parse().unwrap()),
            ..Settings::default()
        }
    }

    #[test]
    fn a_host_is_live_a_preview_or_nothing() {
        let at = |host: &str| {
            let judged = judged(&settings(), &Method::GET, "/", &[("host", host)]);
            judged.map(|judged| judged.place)
        };
        for live in [
            "localhost:3000",
            "LOCALHOST",
            "127.0.0.1:3000",
            "[::1]:3000",
            "10.0.0.7",
            "shop.example.com",
            "Shop.Example.com.:80",
        ] {
            assert_eq!(at(live), Ok(Place::Live), "{live}");
        }
        for (preview, name) in [
            ("red.localhost:3000", "red"),
            ("Red.Pre.example.com", "red"),
            ("a.b.localhost", "a.b"),
        ] {
            assert_eq!(
                at(preview),
                Ok(Place::Preview(name.to_owned())),
                "{preview}"
            );
        }
        for other in [
            "evil.example",
            "localhost.evil.example",
            "xshop.example.com",
            "pre.example.com",
            "1.2.3.4.evil.example",
        ] {
            assert_eq!(at(other), Err("unknown_host".to_owned()), "{other}");
        }
        for wrong in ["", "a b", "user@localhost", ".localhost"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(
            judged(&settings(), &Method::GET, "/", &twice),
            Err("invalid_host".to_owned())
        );
        assert_eq!(
            judged(&settings(), &Method::GET, "/", &[]),
            Err("invalid_host".to_owned())
        );
    }

    #[test]
    fn links_begin_with_what_the_server_was_given() {
        let at = |host: &str| {
            let judged = judged(&settings(), &Method::GET, "/", &[("host", host)]);
            judged.unwrap().given_origin()
        };
        for host in [
            "localhost:3000",
            "127.0.0.1:3000",
            "[::1]",
            "shop.example.com",
            "red.localhost",
        ] {
            assert_eq!(at(host), Some(format!("http://{host}")), "{host}");
        }
        assert_eq!(at("10.0.0.7:3000"), None);
    }

    #[test]
    fn a_page_of_another_origin_calls_nothing() {
        let calls = |origin: &[(&'static str, &str)]| {
            let headers = [&[("host", "localhost:3000")], origin].concat();
            judged(&settings(), &Method::POST, "/_/methods/x/invoke", &headers).is_ok()
        };
        assert!(calls(&[]), "no browser");
        assert!(calls(&[("origin", "http://localhost:3000")]));
        assert!(calls(&[("sec-fetch-site", "same-origin")]));
        for origin in [
            "http://localhost:3001",
            "http://localhost",
            "http://red.localhost:3000",
            "https://evil.example",
            "null",
            "file://",
            "http://127.0.0.1:3000",
            "x",
        ] {
            assert!(!calls(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!calls(&[("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn a_port_that_is_not_named_is_that_of_the_scheme() {
        let of = |origin, port| is_of(origin, ("shop.example.com", port));
        assert!(of("https://shop.example.com", None));
        assert!(of("http://shop.example.com", Some(80)));
        assert!(of("https://shop.example.com:443", None));
        assert!(!of("https://shop.example.com", Some(80)));
        assert!(!of("https://shop.example.com:8443", None));
    }

    #[test]
    fn pages_are_read_by_all_and_programs_need_no_origin() {
        let foreign = [("host", "localhost"), ("origin", "https://evil.example")];
        let may = |method, path: &str| judged(&settings(), &method, path, &foreign).is_ok();
        assert!(may(Method::GET, "/") && may(Method::GET, "/fonts/a.woff2"));
        assert!(!may(Method::GET, "/_/auth/me") && !may(Method::POST, "/"));
        assert!(may(Method::POST, "/_/webhook/abc") && may(Method::GET, "/_/api/orders"));
        assert!(!may(Method::POST, "/_/apixyz"));
        let file = "/_/files/private/x/y";
        assert!(!may(Method::GET, file) && may(Method::GET, &format!("{file}?signature=x")));
        assert!(!may(Method::POST, &format!("{file}?signature=x")));
        assert!(!may(Method::GET, "/_/auth/me?signature=x"));
        let link = [
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        let by_link = |method| judged(&settings(), &method, "/_/auth/remy/start", &link).is_ok();
        assert!(by_link(Method::GET) && !by_link(Method::POST));
    }

    #[test]
    fn what_is_forwarded_counts_from_a_proxy_alone() {
        let headers = [
            ("host", "localhost:3000"),
            ("x-forwarded-host", "www.example.org"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "6.6.6.6, 9.9.9.9"),
        ];
        let plain = judged(&settings(), &Method::GET, "/", &headers).unwrap();
        assert_eq!(
            (plain.is_secure, plain.client.to_string().as_str()),
            (false, "127.0.0.1")
        );
        let settings = Settings {
            proxies: vec![[127, 0, 0, 1].into()],
            ..settings()
        };
        let proxied = judged(&settings, &Method::GET, "/", &headers).unwrap();
        let proxied_origin = proxied.given_origin();
        assert_eq!(
            (
                proxied.place,
                proxied.is_secure,
                proxied.client.to_string().as_str()
            ),
            (Place::Live, true, "9.9.9.9")
        );
        // Its name is not one to hand on.
        assert_eq!((plain.is_given, proxied_origin), (true, None));
        let odd = [("host", "localhost"), ("x-forwarded-for", "unknown")];
        let odd = judged(&settings, &Method::GET, "/", &odd).unwrap();
        assert_eq!(odd.client.to_string(), "127.0.0.1");
    }
}
