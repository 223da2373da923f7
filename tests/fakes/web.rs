//! A web server that answers what a test says, and remembers what it was asked.
use super::{Tls, Wire, line, patient};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io,
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST`, say.
    pub method: String,
    /// With what stands behind `?`.
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Asked {
    /// Its body, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    after: Duration,
}

impl Reply {
    /// JSON, with a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string())
    }

    /// A body of any kind.
    pub fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            after: Duration::ZERO,
        }
    }

    /// The same with a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, later.
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

/// A web server on a free port of loopback. It goes with the test's process.
#[derive(Clone)]
pub struct WebServer {
    /// Its port.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl WebServer {
    /// One that answers with what `answer` returns; by TLS, where some is given.
    pub fn start(
        tls: Option<Tls>,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let server = Self {
            port,
            asked: asked.clone(),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, answer, tls) = (asked.clone(), answer.clone(), tls.clone());
                thread::spawn(move || {
                    patient(&stream);
                    let mut wire: Box<dyn Wire> = match tls {
                        Some(tls) => tls.over(stream),
                        None => Box::new(stream),
                    };
                    let _ = serve(&mut *wire, &asked, &*answer);
                });
            }
        });
        server
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    wire: &mut dyn Wire,
    all: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Reply,
) -> io::Result<()> {
    while let Some(first) = line(wire)? {
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap_or_default());
        let mut headers = BTreeMap::new();
        while let Some(header) = line(wire)?.filter(|line| !line.is_empty()) {
            let (name, value) = header.split_once(':').unwrap();
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        wire.read_exact(&mut body)?;
        let asked = Asked {
            method,
            path,
            headers,
            body,
        };
        all.lock().unwrap().push(asked.clone());
        let Reply {
            status,
            headers,
            body,
            after,
        } = answer(&asked);
        thread::sleep(after);
        let mut head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        wire.write_all(format!("{head}\r\n").as_bytes())?;
        wire.write_all(&body)?;
        wire.flush()?;
    }
    Ok(())
}
