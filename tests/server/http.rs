//! HTTP as bytes: what a browser would not send, too.
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    to: SocketAddr,
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Request {
    /// To live, as it is known at that address.
    pub fn to(address: SocketAddr, method: &str, path: &str) -> Self {
        let request = Self {
            to: address,
            line: format!("{method} {path} HTTP/1.1"),
            headers: Vec::new(),
            body: Vec::new(),
        };
        request.header("host", &format!("localhost:{}", address.port()))
    }

    /// With a header, in the place of one of that name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", &length)
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }

    /// Sends it on a connection of its own, and reads the answer to its end.
    pub fn send(self) -> Reply {
        self.try_send().unwrap()
    }

    pub fn try_send(self) -> std::io::Result<Reply> {
        let is_head = self.line.starts_with("HEAD ");
        let request = self.header("connection", "close");
        let mut stream = TcpStream::connect(request.to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // One that is refused early need not be taken whole.
        let _ = stream.write_all(&request.bytes());
        read(&mut BufReader::new(stream), is_head)
    }

    /// Sends it, and leaves the answer to be read.
    pub fn begin(&self) -> BufReader<TcpStream> {
        let mut stream = connect(self.to);
        stream.write_all(&self.bytes()).unwrap();
        BufReader::new(stream)
    }
}

/// The head of an answer.
pub fn head(from: &mut impl BufRead) -> std::io::Result<Reply> {
    let mut line = || -> std::io::Result<String> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let mut reply = Reply {
        status: status.unwrap_or_else(|| panic!("no HTTP: {first}")),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else {
            return Ok(reply);
        };
        reply.headers.push((name.to_lowercase(), value.to_owned()));
    }
}

/// An answer.
pub fn read(from: &mut impl BufRead, is_head: bool) -> std::io::Result<Reply> {
    let mut reply = head(from)?;
    if is_head || reply.status == 304 || reply.status == 204 {
        return Ok(reply);
    }
    if reply.header("transfer-encoding") == Some("chunked") {
        while let Some(part) = chunk(from)? {
            reply.body.extend(part);
        }
    } else if let Some(length) = reply.header("content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        from.read_exact(&mut body)?;
        reply.body = body;
    } else {
        from.read_to_end(&mut reply.body)?;
    }
    Ok(reply)
}

/// The next part of a body that comes in parts.
pub fn chunk(from: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let length = usize::from_str_radix(line.trim_end(), 16)
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
    let mut part = vec![0; length + 2];
    from.read_exact(&mut part)?;
    part.truncate(length);
    Ok((length > 0).then_some(part))
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Its status, and the code of its error.
    pub fn refusal(&self) -> (u16, String) {
        let json = self.json();
        assert!(json["error"].is_string(), "{self:?}");
        (
            self.status,
            json["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}
