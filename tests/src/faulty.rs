//! A proxy before the plain HTTP of an OpenBao that misbehaves when it is told to: for what a real one does in bad times
//! only, and not on demand.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1 as client;
use hyper::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What it does to a request instead of passing it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Passes it on after so long.
    Late(Duration),
    /// Resets the connection.
    Reset,
    /// Answers the status, in the words that OpenBao has for it.
    Status(u16),
    /// Answers 429 and when to come back, in seconds.
    TooMany(u64),
    /// Passes it on, and closes the connection half-way through the answer.
    HalfAnAnswer,
}

/// A running proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultyProxy {
    port: u16,
    orders: Arc<Orders>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Orders {
    fault: Mutex<Option<Order>>,
    asked: Mutex<BTreeMap<String, usize>>,
}

#[derive(Debug)]
struct Order {
    part: String,
    fault: Fault,
    once: bool,
}

type Body = BoxBody<Bytes, io::Error>;

impl FaultyProxy {
    /// Passes on to 127.0.0.1:`upstream`, for now without a fault.
    pub async fn before(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let orders = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, upstream, Arc::clone(&orders)));
        Ok(Self { port, orders, _serving: serving })
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it does this to requests whose path has `part` in it.
    pub fn misbehave(&self, part: &str, fault: Fault) {
        *locked(&self.orders.fault) = Some(Order { part: part.to_owned(), fault, once: false });
    }

    /// It does this to the next request whose path has `part` in it.
    pub fn misbehave_once(&self, part: &str, fault: Fault) {
        *locked(&self.orders.fault) = Some(Order { part: part.to_owned(), fault, once: true });
    }

    /// From now on it passes everything on.
    pub fn behave(&self) {
        *locked(&self.orders.fault) = None;
    }

    /// Requests so far whose path has `part` in it, with and without a fault.
    pub fn asked(&self, part: &str) -> usize {
        locked(&self.orders.asked)
            .iter()
            .filter(|(path, _)| path.contains(part))
            .map(|(_, count)| count)
            .sum()
    }
}

impl Orders {
    /// Counts a request, and says what is to be done to it.
    fn on(&self, path: &str) -> Option<Fault> {
        *locked(&self.asked).entry(path.to_owned()).or_default() += 1;
        let mut fault = locked(&self.fault);
        let order = fault.as_ref().filter(|order| path.contains(&order.part))?;
        let (what, once) = (order.fault, order.once);
        fault.take_if(|_| once);
        Some(what)
    }
}

async fn accept(listener: TcpListener, upstream: u16, orders: Arc<Orders>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, upstream, Arc::clone(&orders)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, upstream: u16, orders: Arc<Orders>) {
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let answer = service_fn(|request| answer(request, upstream, &orders, &socket));
    // How it ends is what the client is to deal with.
    let _end = server::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(
    request: Request<Incoming>,
    upstream: u16,
    orders: &Orders,
    socket: &OwnedFd,
) -> io::Result<Response<Body>> {
    match orders.on(request.uri().path()) {
        None => pass_on(request, upstream).await.map(|answer| answer.map(whole)),
        Some(Fault::Late(by)) => {
            sleep(by).await;
            pass_on(request, upstream).await.map(|answer| answer.map(whole))
        }
        Some(Fault::Reset) => {
            set_socket_linger(socket, Some(Duration::ZERO))?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::Status(status)) => made_up(status, None),
        Some(Fault::TooMany(seconds)) => made_up(429, Some(seconds)),
        Some(Fault::HalfAnAnswer) => pass_on(request, upstream).await.map(|answer| {
            let length = answer.body().len();
            let mut answer = answer.map(half);
            answer.headers_mut().insert(CONTENT_LENGTH, length.into());
            answer
        }),
    }
}

async fn pass_on(request: Request<Incoming>, upstream: u16) -> io::Result<Response<Bytes>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async move {
        let (mut head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        // It leaves here in one piece, whose length is known.
        head.headers.remove(TRANSFER_ENCODING);
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let (answer, _end_of_connection) = tokio::join!(exchange, connection);
    answer
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed()
}

/// The first half, time for it to leave, and no more.
fn half(body: Bytes) -> Body {
    let first = body.slice(..body.len() / 2);
    let parts = stream::unfold(Some(first), |first| async move {
        match first {
            Some(first) => Some((Ok(Frame::data(first)), None)),
            None => {
                sleep(Duration::from_millis(50)).await;
                Some((Err(io::ErrorKind::BrokenPipe.into()), None))
            }
        }
    });
    BodyExt::boxed(StreamBody::new(Box::pin(parts)))
}

fn made_up(status: u16, retry_after: Option<u64>) -> io::Result<Response<Body>> {
    let words = match status {
        503 => "Vault is sealed",
        429 => "request path \"pki\": rate limit quota exceeded",
        500 => "local node not active but active cluster node not found",
        _ => "as it was told to answer",
    };
    let body = serde_json::json!({"errors": [words]}).to_string();
    let mut answer = Response::new(whole(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(answer)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
