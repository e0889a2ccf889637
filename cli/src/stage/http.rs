//! One HTTP request on a connection of its own, as a person would make it with curl.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing on one machine takes longer, however busy it is, except for what has hung.
const LIMIT: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, as text.
    pub body: String,
}

/// GET `path` from 127.0.0.1. Fails after 15 s, and when the peer closes the connection without an answer.
pub async fn get(port: u16, path: &str) -> Result<Answer> {
    get_at((Ipv4Addr::LOCALHOST, port).into(), path).await
}

/// The same from another address.
pub(crate) async fn get_at(address: SocketAddr, path: &str) -> Result<Answer> {
    let answer = timeout(LIMIT, exchange(address, path)).await;
    answer
        .unwrap_or_else(|_| Err(anyhow!("no answer within {LIMIT:?}")))
        .with_context(|| format!("GET {address}{path}"))
}

async fn exchange(address: SocketAddr, path: &str) -> Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    };
    // The connection is driven beside the exchange; how it ends shows in the answer.
    let (answer, _end_of_connection) = tokio::join!(answer, connection);
    answer
}
