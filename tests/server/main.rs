//! What was published, served: pages, methods, and what somebody sends who means no good.
mod admission;
mod agent;
mod api;
mod backend;
mod bad_input;
mod bots;
mod cron;
mod deploy;
mod dev;
mod ending;
mod events;
mod faults;
mod files;
mod inbox;
mod login;
mod mcp;
mod methods;
mod operation;
mod outbox;
mod pages;
mod pages_of_docs;
mod programs;
mod shop;
mod switches;
mod talk;
mod webhook;

use remy_db_server::{Server, Settings, bind};
use remy_tests::http::{self, Reply, Request};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// A server, in this process, on a port that is free. It ends as it is dropped.
struct Serving {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn of(live: &Path, settings: Settings) -> Self {
        let server = Server::open(live, settings).unwrap_or_else(|e| panic!("{e:?}"));
        let listener = bind("127.0.0.1", 0).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || server.run(listener, &told).unwrap());
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// A request, as a page of live sends it.
    fn ask(&self, method: &str, path: &str) -> Request {
        Request::to(self.address, method, path)
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path).send()
    }

    /// What a page is told that was just loaded.
    fn page(&self) -> Value {
        told(&self.get("/"))
    }

    /// A call of a method by a page.
    fn call(&self, token: &str, method: &str, input: &Value) -> Reply {
        let body = serde_json::json!({ "input": input });
        self.calls(token, method).json(&body).send()
    }

    fn calls(&self, token: &str, method: &str) -> Request {
        self.ask("POST", &format!("/_/methods/{method}/invoke"))
            .bearer(token)
    }

    /// Tells it to end.
    fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a page is told.
fn told(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = reply.text();
    let json = text.split("window.__MINDSTUDIO__=").nth(1).unwrap();
    serde_json::from_str(json.split("</script>").next().unwrap()).unwrap()
}

fn token(page: &Value) -> &str {
    page["token"].as_str().unwrap()
}
