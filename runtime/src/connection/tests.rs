//! What a connection gets away with, and what not: real sockets, time that is advanced.

mod age_and_stop;
mod hostile;
mod requests;
mod unread;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use hyper::body::Frame;
use tokio::{net::UnixStream, task::JoinSet, time::sleep};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status, body::Body, server::NamedService, service::Routes};

use super::*;
use crate::peer::{Origin, Peer, UnixCredentials};

const SECOND: Duration = Duration::from_secs(1);

/// One connection that is being served, and the tasks of its client.
struct Served {
    connection: JoinSet<End>,
    client: JoinSet<Result<(), h2::Error>>,
    stop: CancellationToken,
    slow: Slow,
}

impl Served {
    /// The client's end of a socket whose other end is served.
    fn under(limits: Limits) -> (UnixStream, Self) {
        let (client, server) = UnixStream::pair().unwrap();
        let mut known = Extensions::new();
        known.insert(Peer::new(Origin::Unix(UnixCredentials::new(Some(7), 1337, 1337))));
        let (stop, slow) = (CancellationToken::new(), Slow::default());
        let (stopped, routes) = (stop.clone(), Routes::new(slow.clone()));
        let mut connection = JoinSet::new();
        connection.spawn(async move { serve(server, known, routes, &limits, &stopped).await });
        (client, Self { connection, client: JoinSet::new(), stop, slow })
    }

    /// A client that has done all that HTTP/2 asks of it and answers pings.
    async fn to_good_client(limits: Limits) -> (SendRequest<Bytes>, Self) {
        let (client, mut served) = Self::under(limits);
        let mut builder = h2::client::Builder::new();
        let builder = builder.initial_connection_window_size(16 << 20);
        let (send, connection) = builder.handshake(client).await.unwrap();
        served.client.spawn(connection);
        (send, served)
    }

    async fn end(&mut self) -> End {
        self.connection.join_next().await.unwrap().unwrap()
    }

    fn started(&self) -> usize {
        self.slow.started.load(Ordering::Relaxed)
    }
}

/// Calls a method and waits for the head of the answer.
async fn call(
    send: &SendRequest<Bytes>,
    method: &str,
    header: (&'static str, &str),
) -> Result<Response<h2::RecvStream>, h2::Error> {
    let mut send = send.clone().ready().await?;
    let request = Request::post(format!("http://ca/test.Slow/{method}")).header(header.0, header.1);
    send.send_request(request.body(()).unwrap(), true)?.0.await
}

const NO_HEADER: (&str, &str) = ("x-none", "");

fn code(answer: &Response<h2::RecvStream>) -> Code {
    Status::from_header_map(answer.headers()).map_or(Code::Unknown, |status| status.code())
}

/// `/test.Slow/<n>` answers OK after n seconds with the peer's uid as its message; `/test.Slow/flood` answers
/// at once, with a body that never ends; `/test.Slow/unread` neither reads nor answers.
#[derive(Clone, Default)]
struct Slow {
    started: Arc<AtomicUsize>,
    running: TaskTracker,
    flooded_bytes: Arc<AtomicUsize>,
}

impl NamedService for Slow {
    const NAME: &'static str = "test.Slow";
}

impl tower::Service<Request<Body>> for Slow {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.started.fetch_add(1, Ordering::Relaxed);
        let running = self.running.clone();
        let uid = request.extensions().get::<Peer>().and_then(Peer::unix).map(UnixCredentials::uid);
        let method = request.uri().path().rsplit('/').next().unwrap();
        if method == "unread" {
            return Box::pin(async move {
                let _unread = request;
                std::future::pending().await
            });
        }
        match method.parse() {
            Ok(seconds) => Box::pin(running.track_future(async move {
                sleep(Duration::from_secs(seconds)).await;
                Ok(Status::new(Code::Ok, format!("{uid:?}")).into_http())
            })),
            Err(_) => {
                Box::pin(std::future::ready(Ok(Response::new(Body::new(Flood(self.flooded_bytes.clone()))))))
            }
        }
    }
}

struct Flood(Arc<AtomicUsize>);

impl hyper::body::Body for Flood {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(4096, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 4096])))))
    }
}
