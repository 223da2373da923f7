//! Connections: where they come from, how many there are, how slow they may be, and how they end.

use crate::{
    asked::Peer,
    context::{Context, OTHERS},
    operation::metrics::{self, Watched},
    route,
    settings::Limits,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use remy_db_runtime::failure::Failure;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::sockopt::socket_acceptconn,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    env, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _},
    os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{self, Poll},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

/// How often it is looked whether the server is to end.
const NAP: Duration = Duration::from_millis(50);

/// What the system keeps of connections that were not taken yet.
const BACKLOG: i32 = 4096;

/// The most connections at once to the port of metrics.
const WATCHERS: usize = 16;

/// Descriptors that connections leave to all else.
const DESCRIPTORS: u64 = 512;

/// Listens on a port of a host; 0 is one that is free.
///
/// Fails with `port_taken`, and with `not_bound` where the host is none of this machine.
pub fn bind(host: &str, port: u16) -> Result<TcpListener, Failure> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |e: io::Error| {
        let (code, what) = match e.kind() {
            io::ErrorKind::AddrInUse => {
                let next = port.checked_add(1).unwrap_or(3000);
                let todo = format!(
                    "is taken by another process. Nothing was started. Stop that one, or serve on another port: --port {next}"
                );
                ("port_taken", todo)
            }
            io::ErrorKind::PermissionDenied => (
                "not_bound",
                format!(
                    "may not be served on by this user ({e}). Nothing was started. Take a port above 1023"
                ),
            ),
            _ => (
                "not_bound",
                format!(
                    "cannot be listened on ({e}). Nothing was started. --host is a name or an address of this machine"
                ),
            ),
        };
        Failure::new(code, 503, format!("port {port} of {host} {what}"))
    };
    let all: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    let listener = TcpListener::bind(&*all).map_err(failed)?;
    // Longer than Rust's own 128: as many may come at once.
    rustix::net::listen(&listener, BACKLOG).map_err(|e| failed(e.into()))?;
    Ok(listener)
}

/// Listens on the first port that is free, of some from `port` on. Fails as [`bind`] does.
pub fn bind_near(host: &str, port: u16) -> Result<TcpListener, Failure> {
    const TRIES: u16 = 100;
    for port in port..port.saturating_add(TRIES) {
        match bind(host, port) {
            Err(e) if e.code == "port_taken" => {}
            bound => return bound,
        }
    }
    bind(host, port)
}

/// The socket that whoever started this process has opened for it, as systemd does, if there is one.
pub fn inherited() -> Option<TcpListener> {
    const FIRST: RawFd = 3;
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID")? != std::process::id() || number("LISTEN_FDS")? == 0 {
        return None;
    }
    // SAFETY: it is looked at and not kept. Where it is not open, the system says so.
    let found = unsafe { BorrowedFd::borrow_raw(FIRST) };
    // Not what this process has opened since, where nothing was passed on.
    socket_acceptconn(found).ok().filter(|listens| *listens)?;
    // SAFETY: it is open and listens, as the process says that has started this one: it is passed on
    // to this process, as is said by its id, and nobody here has it, as nothing here listens yet.
    let socket = unsafe { OwnedFd::from_raw_fd(FIRST) };
    fcntl_setfd(&socket, FdFlags::CLOEXEC).ok()?;
    let listener = TcpListener::from(socket);
    listener.local_addr().ok()?;
    Some(listener)
}

/// Serves on a listener until `stop` is set, and what is under way has ended.
pub(crate) fn run(
    context: &Arc<Context>,
    (listener, metrics): (TcpListener, Option<TcpListener>),
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let limits = context.settings.limits;
    let failed = |e: io::Error| {
        let message = format!("serving cannot begin: {e}. Nothing was started");
        Failure::new("io", 500, message)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("remy-serve")
        .max_blocking_threads(limits.calls + OTHERS)
        .build()
        .map_err(failed)?;
    context
        .runtime
        .reached_at(own_url(listener.local_addr().map_err(failed)?));
    runtime.block_on(async {
        let of_tokio = |listener: TcpListener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        };
        let metrics = metrics.map(of_tokio).transpose().map_err(failed)?;
        let listener = of_tokio(listener).map_err(failed)?;
        serve(context, (&listener, metrics), stop).await;
        Ok(())
    })?;
    // What was called off ends.
    runtime.shutdown_timeout(Duration::from_secs(5));
    Ok(())
}

/// Where processes of this machine reach what listens on an address.
fn own_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// All connections.
struct Connections {
    router: Router,
    limits: Limits,
    room: Arc<Semaphore>,
    silent: Arc<Silent>,
    is_over: watch::Sender<bool>,
}

async fn serve(
    context: &Arc<Context>,
    (listener, metrics): (&tokio::net::TcpListener, Option<tokio::net::TcpListener>),
    stop: &AtomicBool,
) {
    let limits = context.settings.limits;
    let most = descriptors().saturating_sub(DESCRIPTORS).max(64);
    let most = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .min(limits.connections);
    let connections = Connections::new(route::all(context), limits, most);
    if let Some(listener) = metrics {
        let room = Arc::clone(&connections.room);
        let watched = Watched {
            at: Arc::clone(context),
            connections: Arc::new(move || most - room.available_permits()),
        };
        let watchers = Connections::new(metrics::router(watched), limits, WATCHERS);
        // It goes on while the server ends, and goes with it.
        tokio::spawn(async move { watchers.accept(&listener).await });
    }
    tokio::select! {
        () = set(stop) => {}
        () = connections.accept(listener) => {}
    }
    let until = Instant::now() + limits.end;
    connections.is_over.send_replace(true);
    context.ending.send_replace(true);
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let ended = connections.room.acquire_many(all);
    if timeout(limits.end, ended).await.is_err() {
        context.end_calls();
    }
    // What methods do after their answers goes on for as long.
    let at = Arc::clone(context);
    let settled = tokio::task::spawn_blocking(move || {
        at.runtime.settle(&|| Instant::now() > until);
    });
    let _ = settled.await;
}

async fn set(stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        sleep(NAP).await;
    }
}

/// How many descriptors there may be: as many as the system lets this process have. Processes of
/// methods have a limit of their own.
fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

impl Connections {
    fn new(router: Router, limits: Limits, most: usize) -> Arc<Self> {
        Arc::new(Self {
            router,
            limits,
            room: Arc::new(Semaphore::new(most)),
            silent: Arc::default(),
            is_over: watch::Sender::new(false),
        })
    }

    /// Takes all that come, without end.
    async fn accept(self: &Arc<Self>, listener: &tokio::net::TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.take(stream, peer).await,
                // Too many descriptors are open, say: some are closed before long.
                Err(_) => sleep(NAP).await,
            }
        }
    }

    /// Takes a connection; where there are too many, the one goes that has been silent for longest.
    async fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let room = Arc::clone(&self.room);
        let turn = match Arc::clone(&room).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                self.silent.end_longest();
                let Ok(turn) = timeout(self.limits.head, room.acquire_owned()).await else {
                    return;
                };
                let Ok(turn) = turn else { return };
                turn
            }
        };
        let all = Arc::clone(self);
        tokio::spawn(async move { all.keep(stream, peer, turn).await });
    }

    async fn keep(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        _turn: OwnedSemaphorePermit,
    ) {
        let mut is_over = self.is_over.subscribe();
        let place = self.silent.begin();
        // Nothing is made for who says nothing.
        tokio::select! {
            _ = is_over.wait_for(|is_over| *is_over) => return,
            () = place.is_ended() => return,
            readable = timeout(self.limits.head, stream.readable()) => {
                if !matches!(readable, Ok(Ok(()))) {
                    return;
                }
            }
        }
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.unread));
        let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
            let speaking = place.speak();
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let answered = self.router.clone().oneshot(request);
            async move {
                let answer = answered.await?;
                Ok::<_, Infallible>(answer.map(|body| Spoken {
                    body,
                    _speaking: speaking,
                }))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
            // A dev session's pages hear of changes by a WebSocket.
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = is_over.wait_for(|is_over| *is_over) => {}
            () = place.is_ended() => {}
        }
        // What is being answered is answered.
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// The body of an answer: while it is sent, its connection is not silent.
struct Spoken {
    body: Body,
    _speaking: Speaking,
}

impl hyper::body::Body for Spoken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Connections on which nothing is asked at the moment, the one first that has been so for longest.
#[derive(Default)]
struct Silent {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Arc<Notify>>>,
}

/// A connection's place among them.
struct Place {
    silent: Arc<Silent>,
    ended: Arc<Notify>,
    at: Mutex<Option<u64>>,
}

/// Something is asked.
struct Speaking(Arc<Place>);

impl Silent {
    fn begin(self: &Arc<Self>) -> Arc<Place> {
        let place = Place {
            silent: Arc::clone(self),
            ended: Arc::default(),
            at: Mutex::new(None),
        };
        place.wait();
        Arc::new(place)
    }

    fn end_longest(&self) {
        if let Some((_, longest)) = self.waiting().pop_first() {
            longest.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    async fn is_ended(&self) {
        self.ended.notified().await;
    }

    fn speak(self: &Arc<Self>) -> Speaking {
        self.leave();
        Speaking(Arc::clone(self))
    }

    fn wait(&self) {
        let number = self.silent.next.fetch_add(1, Ordering::Relaxed);
        let ended = Arc::clone(&self.ended);
        self.silent.waiting().insert(number, ended);
        *self.at() = Some(number);
    }

    fn leave(&self) {
        if let Some(number) = self.at().take() {
            self.silent.waiting().remove(&number);
        }
    }

    fn at(&self) -> MutexGuard<'_, Option<u64>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_with_what_to_do() {
        let first = bind("127.0.0.1", 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let refused = bind("127.0.0.1", port).unwrap_err();
        assert_eq!(refused.code, "port_taken");
        assert!(
            refused
                .message
                .contains(&format!("port {port} of 127.0.0.1 is taken"))
        );
        assert!(refused.message.contains("--port"));
        assert_eq!(bind("192.0.2.1", 0).unwrap_err().code, "not_bound");
    }

    #[test]
    fn who_has_been_silent_for_longest_goes_first() {
        let silent = Arc::new(Silent::default());
        let [one, two, three] = [(); 3].map(|()| silent.begin());
        drop(one.speak());
        let speaking = two.speak();
        silent.end_longest();
        let is_ended = |place: &Place| {
            let rt = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            rt.block_on(async { timeout(Duration::from_millis(1), place.is_ended()).await })
                .is_ok()
        };
        assert!(is_ended(&three) && !is_ended(&one) && !is_ended(&two));
        drop(speaking);
        drop(one);
        silent.end_longest();
        assert!(is_ended(&two));
    }
}
