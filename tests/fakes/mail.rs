//! A mail server that keeps what it is given.
use super::{Tls, Wire, line, patient};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A message that was taken.
#[derive(Debug, Clone, Default)]
pub struct Letter {
    /// Who it says it is from, to the server.
    pub from: String,
    /// Who it goes to.
    pub to: Vec<String>,
    /// What stands in it, headers first, with `\n`.
    pub text: String,
    /// What it was authorized by.
    pub auth: Option<String>,
    /// Whether it came by TLS.
    pub by_tls: bool,
}

/// How a mail server behaves.
#[derive(Clone, Default)]
pub struct Mail {
    /// What it speaks TLS with, after `STARTTLS`.
    pub starttls: Option<Tls>,
    /// What it speaks from the start.
    pub tls: Option<Tls>,
    /// What it answers to a recipient, in the place of `250`.
    pub refuses: Option<&'static str>,
}

/// A mail server on a free port of loopback. It goes with the test's process.
#[derive(Clone)]
pub struct MailServer {
    /// Its port.
    pub port: u16,
    letters: Arc<Mutex<Vec<Letter>>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// Starts one.
    pub fn start(mail: Mail) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            letters: Arc::default(),
            said: Arc::default(),
        };
        let (letters, said) = (server.letters.clone(), server.said.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (letters, said, mail) = (letters.clone(), said.clone(), mail.clone());
                thread::spawn(move || serve(&stream, &mail, &letters, &said));
            }
        });
        server
    }

    /// The code that stands in its last letter, once there are `n`.
    pub fn code(&self, n: usize) -> String {
        let letters = self.wait_for(n);
        let lines = letters
            .last()
            .into_iter()
            .flat_map(|letter| letter.text.lines());
        let mut subjects = lines.filter_map(|line| line.strip_prefix("Subject: "));
        let subject = subjects.next().expect("a letter has a subject");
        subject.split(' ').next().unwrap_or_default().to_owned()
    }

    /// What it has taken so far.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }

    /// Its letters, once there are `n`.
    pub fn wait_for(&self, n: usize) -> Vec<Letter> {
        let until = Instant::now() + Duration::from_secs(10);
        while self.letters().len() < n && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let letters = self.letters();
        assert_eq!(letters.len(), n, "{letters:#?}");
        letters
    }

    /// All that was said to it.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, mail: &Mail, letters: &Mutex<Vec<Letter>>, said: &Mutex<Vec<String>>) {
    patient(stream);
    let mut talk = Talk {
        mail,
        letters,
        said,
        letter: Letter::default(),
    };
    let mut plain = stream;
    let done = match &mail.tls {
        Some(tls) => talk.with(&mut *tls.over(stream), true),
        None => match talk.with(&mut plain, false) {
            Ok(true) => {
                let tls = mail.starttls.as_ref().unwrap();
                talk.converse(&mut *tls.over(stream), true)
            }
            other => other,
        },
    };
    // A client that goes is none of its business.
    let _ = done;
}

struct Talk<'a> {
    mail: &'a Mail,
    letters: &'a Mutex<Vec<Letter>>,
    said: &'a Mutex<Vec<String>>,
    letter: Letter,
}

impl Talk<'_> {
    fn with(&mut self, wire: &mut dyn Wire, by_tls: bool) -> io::Result<bool> {
        send(wire, "220 fake")?;
        self.converse(wire, by_tls)
    }

    /// Whether TLS is to begin.
    fn converse(&mut self, wire: &mut dyn Wire, by_tls: bool) -> io::Result<bool> {
        while let Some(command) = line(wire)? {
            self.said.lock().unwrap().push(command.clone());
            let verb = command.split([' ', ':']).next().unwrap_or_default();
            let rest = command.split_once(':').map_or("", |(_, rest)| rest);
            let address = rest.trim().split('>').next().unwrap_or_default();
            let address = address.trim_start_matches('<').to_owned();
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let starttls = !by_tls && self.mail.starttls.is_some();
                    let more = if starttls { "250-STARTTLS\r\n" } else { "" };
                    send(
                        wire,
                        &format!("250-fake\r\n{more}250-8BITMIME\r\n250 AUTH PLAIN LOGIN"),
                    )?;
                }
                "STARTTLS" => {
                    send(wire, "220 go on")?;
                    return Ok(true);
                }
                "AUTH" => {
                    self.letter.auth = command.split(' ').nth(2).map(str::to_owned);
                    send(wire, "235 known")?;
                }
                "MAIL" => {
                    self.letter.from = address;
                    send(wire, "250 ok")?;
                }
                "RCPT" => match self.mail.refuses {
                    Some(no) => send(wire, no)?,
                    None => {
                        self.letter.to.push(address);
                        send(wire, "250 ok")?;
                    }
                },
                "DATA" => {
                    send(wire, "354 go on")?;
                    self.letter.text = data(wire)?;
                    self.letter.by_tls = by_tls;
                    let auth = self.letter.auth.clone();
                    self.letters
                        .lock()
                        .unwrap()
                        .push(std::mem::take(&mut self.letter));
                    self.letter.auth = auth;
                    send(wire, "250 taken")?;
                }
                "QUIT" => {
                    send(wire, "221 bye")?;
                    return Ok(false);
                }
                _ => send(wire, "250 ok")?,
            }
        }
        Ok(false)
    }
}

fn data(wire: &mut dyn Wire) -> io::Result<String> {
    let mut text = String::new();
    while let Some(line) = line(wire)?.filter(|line| line != ".") {
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    Ok(text)
}

fn send(wire: &mut (impl Read + Write + ?Sized), text: &str) -> io::Result<()> {
    wire.write_all(format!("{text}\r\n").as_bytes())?;
    wire.flush()
}
