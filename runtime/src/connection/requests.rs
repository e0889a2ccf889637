//! What every request gets on its way to tonic's routes: what is known of its peer, and its deadline.

use std::{convert::Infallible, pin::Pin, time::Duration};

use http::{Extensions, HeaderMap, Request, Response};
use hyper::{body::Incoming, service::Service};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body};
use tower::ServiceExt;

/// What answers requests: tonic's [`Routes`](tonic::service::Routes), or a service of its own.
pub trait Services:
    tower::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Services for S where
    S: tower::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// When work on a request has to be over for its answer to be of use: an extension of every request. It lies before the
/// client's own end by a tenth of the time, so that a refusal gets there, and says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// The services, as one connection reaches them.
pub(super) struct Requests<S> {
    services: S,
    known: Extensions,
    longest: Duration,
}

impl<S> Requests<S> {
    pub(super) fn new(services: S, known: Extensions, longest: Duration) -> Self {
        Self { services, known, longest }
    }
}

impl<S: Services> Service<Request<Incoming>> for Requests<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    /// Answers DEADLINE_EXCEEDED when the handler has given no head of an answer in time. A unary call has
    /// read its request and is done by then; a stream that has begun is not cut.
    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().extend(self.known.clone());
        let (now, allowed) = (Instant::now(), deadline(request.headers(), self.longest));
        request.extensions_mut().insert(Deadline(now + allowed.mul_f64(WORKED_ON)));
        let answer = timeout_at(now + allowed, self.services.clone().oneshot(request));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Ok(too_late().into_http())) })
    }
}

/// How much of a request's time may be worked on it.
const WORKED_ON: f64 = 0.9;

fn too_late() -> Status {
    Status::deadline_exceeded("the deadline of the request is over. Ask again, later or with a longer one")
}

/// The shorter of what the client allows and what we do. A `grpc-timeout` that is malformed allows anything.
fn deadline(headers: &HeaderMap, longest: Duration) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| grpc_timeout(value.to_str().ok()?));
    asked.map_or(longest, |asked| asked.min(longest))
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_timeout_is_at_most_eight_digits_and_a_unit() {
        let cases = [
            ("hours", "2H", Some(Duration::from_secs(7200))),
            ("minutes", "3M", Some(Duration::from_secs(180))),
            ("seconds", "10S", Some(Duration::from_secs(10))),
            ("milliseconds", "50m", Some(Duration::from_millis(50))),
            ("microseconds", "7u", Some(Duration::from_micros(7))),
            ("nanoseconds", "99999999n", Some(Duration::from_nanos(99_999_999))),
            ("none left", "0S", Some(Duration::ZERO)),
            ("nine digits", "100000000n", None),
            ("no digits", "S", None),
            ("no unit", "10", None),
            ("a sign", "+1S", None),
            ("a letter beyond ASCII", "1µ", None),
            ("nothing", "", None),
        ];
        for (name, text, expected) in cases {
            assert_eq!(grpc_timeout(text), expected, "{name}");
        }
    }

    #[test]
    fn the_deadline_is_the_shorter_of_the_clients_and_ours() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        let cases = [
            ("the client's is shorter", Some("1S"), long, short),
            ("ours is shorter", Some("9S"), short, short),
            ("only ours", None, long, long),
            ("a malformed one counts as none", Some("soon"), long, long),
        ];
        for (name, asked, longest, expected) in cases {
            let headers =
                asked.map(|asked| (http::HeaderName::from_static("grpc-timeout"), asked.parse().unwrap()));
            assert_eq!(deadline(&headers.into_iter().collect(), longest), expected, "{name}");
        }
    }
}
