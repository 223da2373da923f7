//! What was published, served.

use super::{Answer, Context, calling::methods, owner};
use crate::{
    arguments::Serve as Given,
    failure::{Result, usage},
    output, screen,
    show::text::one_line,
    signals,
};
use remy_db_server::{Log, Server, Settings, ShowCode, bind, inherited};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal as _, stderr},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
};

pub(super) fn serve(at: &Context<'_>, given: &Given) -> Result<Answer> {
    // Before anything else is opened: a socket that was passed on has a number.
    let passed_on = inherited();
    if given.codes_to_terminal && !stderr().is_terminal() {
        return Err(usage(
            "--codes-to-terminal is for a terminal, and stderr is none: who reads a file of codes signs in as anybody",
        ));
    }
    let project = at.project()?;
    owner::become_who_runs(&project)?;
    let place = project.place();
    let settings = Settings {
        methods: methods(place, &given.methods),
        timezone: place.timezone.clone(),
        ..settings(at, given)
    };
    // Before the port: another server of this database may be what has that.
    let mut server = Server::open(&place.path, settings)?;
    let listener = match passed_on {
        Some(listener) => listener,
        None => bind(&given.host, given.port)?,
    };
    let metrics = match &given.metrics {
        Some((host, port)) => Some(bind(host, *port)?),
        None => None,
    };
    let watched = metrics.as_ref().map(address).transpose()?;
    if let Some(metrics) = metrics {
        server = server.with_metrics(metrics)?;
    }
    tell(at, (address(&listener)?, watched), &server)?;
    server.run(listener, signals::cancel())?;
    Ok(Answer::shown())
}

fn settings(at: &Context<'_>, given: &Given) -> Settings {
    let json = at.json;
    let proxies = match &given.trust_proxy {
        None => Vec::new(),
        Some(None) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Some(Some(address)) => vec![*address],
    };
    // The name that is listened on is one of live's, where it is one.
    let listened = Some(given.host.clone()).filter(|host| host.parse::<IpAddr>().is_err());
    let mut settings = Settings {
        hosts: given.public_host.iter().cloned().chain(listened).collect(),
        previews: given.preview_host.clone(),
        proxies,
        ..Settings::default()
    };
    if given.codes_to_terminal {
        let show = |address: &str, code: &str| {
            screen::say(&format!("The code of {} is {code}\n", one_line(address)));
        };
        settings.show_code = Some(ShowCode(Arc::new(show)));
    }
    if !at.quiet {
        settings.log = Log::new(move |line| output::write(shown(line, json).as_bytes()));
    }
    settings
}

/// A line of the log.
fn shown(line: &Value, json: bool) -> String {
    if json {
        return format!("{line}\n");
    }
    let text = |name: &str| match &line[name] {
        Value::String(text) => one_line(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    if line["event"] != "request" {
        return format!("{}: {}\n", text("event"), text("message"));
    }
    let mut shown = format!(
        "{} {} {} {} ms  {} {}",
        text("status"),
        text("method"),
        text("path"),
        text("ms"),
        text("client"),
        text("id"),
    );
    if line["cause"].is_string() {
        shown = format!("{shown}  {}", text("cause"));
    }
    shown + "\n"
}

fn address(listener: &TcpListener) -> Result<SocketAddr> {
    let address = listener.local_addr();
    address.map_err(|e| usage(format!("the socket has no address: {e}")))
}

/// Says what is served, and where.
fn tell(
    at: &Context<'_>,
    (address, metrics): (SocketAddr, Option<SocketAddr>),
    server: &Server,
) -> Result<()> {
    let port = address.port();
    // One does not open 0.0.0.0.
    let host = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let (url, what) = (format!("http://{host}:{port}"), server.serves()?);
    match at.json {
        true => {
            let line = json!({
                "event": "listening", "url": url, "address": address, "metrics": metrics, "serves": what,
            });
            output::write(format!("{line}\n").as_bytes());
        }
        false => {
            let what = one_line(&what);
            screen::say(&format!(
                "Serving {what} at {url}, previews at http://NAME.localhost:{port}\n"
            ));
            if let Some(metrics) = metrics {
                screen::say(&format!("Metrics at http://{metrics}/metrics\n"));
            }
        }
    }
    Ok(())
}
