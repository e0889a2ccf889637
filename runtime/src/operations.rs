//! The operations port: `/metrics`, `/livez`, `/readyz`, and `/` for a person. Plain HTTP, read only.

mod process;
mod readiness;

pub use readiness::{Condition, Readiness};

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::Semaphore,
    time::{interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{accept::accept_until, telemetry::Metrics};

/// Answers on `listener` until `stop` is cancelled: later than the serving ports, so that an orchestrator can
/// watch the process drain.
///
/// At most 64 connections at once, each for at most a minute, each request's head within 5 seconds and 8 KiB.
pub async fn serve(listener: TcpListener, metrics: Metrics, readiness: Readiness, stop: CancellationToken) {
    let (connections, places) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    let pages = Arc::new(Pages { metrics, readiness });
    let take = |(stream, _)| {
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let answered = answer(stream, Arc::clone(&pages));
            connections.spawn(async move {
                answered.await;
                drop(place);
            });
        }
    };
    select! {
        () = accept_until(&stop, |cx| listener.poll_accept(cx), take) => {}
        () = fold_regularly(&pages.metrics) => {}
    }
}

/// One connection, which ends when it is a minute old whatever its client does.
async fn answer(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = pages.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http1 = http1::Builder::new();
    http1.timer(TokioTimer::new()).header_read_timeout(LONGEST_HEAD).max_buf_size(MOST_HEAD_BYTES);
    drop(timeout(LONGEST_CONNECTION, http1.serve_connection(TokioIo::new(stream), service)).await);
}

async fn fold_regularly(metrics: &Metrics) {
    let mut ticks = interval(FOLD_EVERY);
    loop {
        ticks.tick().await;
        metrics.fold();
    }
}

struct Pages {
    metrics: Metrics,
    readiness: Readiness,
}

impl Pages {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, "read only\n");
        }
        match path {
            "/metrics" => {
                let mut answer =
                    page(StatusCode::OK, format!("{}{}", self.metrics.render(), process::render()));
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROMETHEUS));
                answer
            }
            "/livez" => page(StatusCode::OK, "alive\n"),
            "/readyz" if self.readiness.is_ready() => page(StatusCode::OK, self.readiness.to_string()),
            "/readyz" => page(StatusCode::SERVICE_UNAVAILABLE, self.readiness.to_string()),
            "/" => page(StatusCode::OK, format!("{}\n/metrics /livez /readyz\n", self.readiness)),
            _ => page(StatusCode::NOT_FOUND, "try / /metrics /livez /readyz\n"),
        }
    }
}

fn page(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(text.into()));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    page
}

const MOST_CONNECTIONS: usize = 64;
const MOST_HEAD_BYTES: usize = 8 << 10;
const LONGEST_HEAD: Duration = Duration::from_secs(5);
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);
const FOLD_EVERY: Duration = Duration::from_secs(5);
/// Prometheus text exposition format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests;
