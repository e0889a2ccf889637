//! The application behind the server's sidecar: it answers with what it was sent.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::Result;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A plain HTTP/1.1 server on 127.0.0.1 that answers every request with `{"path": ..., "headers": {...}}`.
/// It ends when it is dropped.
#[derive(Debug)]
pub struct Application {
    port: u16,
    _serving: JoinSet<()>,
}

impl Application {
    /// Starts to serve.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener));
        Ok(Self { port, _serving: serving })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn accept(listener: TcpListener) {
    let mut connections = JoinSet::new();
    // An error to accept is the caller's trouble (it hung up) or ours for a moment; the next one may be fine.
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream) {
    let echo = service_fn(async |request| Ok::<_, Infallible>(echo(&request)));
    // A connection that breaks is a request that failed, and the caller counts those.
    let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), echo).await;
}

fn echo(request: &Request<Incoming>) -> Response<String> {
    let text = |value: &hyper::header::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let headers: Map<_, _> =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Response::new(json!({"path": request.uri().path(), "headers": headers}).to_string())
}
