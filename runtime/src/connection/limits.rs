//! What one connection may cost.

use std::{future, time::Duration};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::sleep;

use crate::config::Section;

/// The bounds of one connection, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// For the TLS handshake, from the first byte to the last.
    pub(crate) handshake: Duration,
    /// For the 24 bytes that begin HTTP/2.
    pub(super) preface: Duration,
    /// A peer that says nothing this long is pinged.
    pub(super) keep_alive: Duration,
    /// And gone if the ping is not answered in time.
    pub(super) keep_alive_timeout: Duration,
    /// When a connection is old, give or take a tenth. `None`: never.
    pub(super) age: Option<Duration>,
    /// What the requests of an old connection, or of a stopping process, have left.
    pub(super) grace: Duration,
    /// The longest that a request may take up to the head of its answer.
    pub(super) request: Duration,
    /// Requests in flight.
    pub(super) streams: u32,
    /// Bytes of all header names and values of a request, and 32 for each (RFC 9113 §6.5.2).
    pub(super) header_list_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            preface: Duration::from_secs(5),
            keep_alive: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
            age: Some(Duration::from_secs(3600)),
            grace: Duration::from_secs(10),
            request: Duration::from_secs(10),
            streams: 256,
            header_list_bytes: 32 << 10,
        }
    }
}

impl Limits {
    /// The limits that a section sets; its keys: `handshake_timeout`, `preface_timeout`, `keep_alive`,
    /// `keep_alive_timeout`, `max_age`, `grace`, `request_timeout`, `max_streams`, `max_header_list_bytes`.
    pub fn from_section(section: &Section<'_>) -> Self {
        let common = Self::common(section);
        Self {
            handshake: time(section, "handshake_timeout", common.handshake),
            age: common.age.map(|age| time(section, "max_age", age)),
            request: time(section, "request_timeout", common.request),
            ..common
        }
    }

    /// The same for a service on Unix sockets whose streams last as long as the peer, with
    /// [`Limits::for_endless_streams`]; its keys: `preface_timeout`, `keep_alive`, `keep_alive_timeout`,
    /// `grace`, `max_streams`, `max_header_list_bytes`.
    pub fn of_endless_streams(section: &Section<'_>) -> Self {
        Self::common(section).for_endless_streams()
    }

    fn common(section: &Section<'_>) -> Self {
        let default = Self::default();
        Self {
            preface: time(section, "preface_timeout", default.preface),
            keep_alive: time(section, "keep_alive", default.keep_alive),
            keep_alive_timeout: time(section, "keep_alive_timeout", default.keep_alive_timeout),
            grace: time(section, "grace", default.grace),
            streams: section.within("max_streams", default.streams, 1..=65_536),
            header_list_bytes: section.within(
                "max_header_list_bytes",
                default.header_list_bytes,
                1 << 10..=1 << 20,
            ),
            ..default
        }
    }

    /// For a service whose streams last as long as the peer: no age. A stream begins with the head of its
    /// answer, so 15 s for a head cuts none of them; they are for whoever never ends sending a unary request,
    /// and leave a handler 10 s to wait for what it answers.
    pub fn for_endless_streams(self) -> Self {
        Self { age: None, request: LONGEST_TO_HEAD, ..self }
    }

    /// How long a stopping process should wait for its connections: the grace that each of them has, and a
    /// moment more, so that those that are cut are counted as that and not abandoned.
    pub fn grace(&self) -> Duration {
        self.grace + MOMENT
    }

    /// How long a peer may take nothing of what we write: as long as it may leave a ping unanswered.
    pub(super) fn patience(&self) -> Duration {
        self.keep_alive + self.keep_alive_timeout
    }

    /// hyper with these limits.
    pub(super) fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new()) // without it, keep_alive_interval panics
            .keep_alive_interval(self.keep_alive)
            .keep_alive_timeout(self.keep_alive_timeout)
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.header_list_bytes)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(self.connection_window_bytes())
            .max_pending_accept_reset_streams(MOST_RESETS_AT_ONCE)
            .max_local_error_reset_streams(MOST_STREAM_ERRORS);
        http2
    }

    /// What a peer may send ahead of being read, on all streams together.
    ///
    /// Half of it is also h2's budget for what small messages cost beyond their bytes, 256 less their length
    /// each. A peer that overdraws it is cut off (ENHANCE_YOUR_CALM), so each stream that is allowed has room
    /// for two messages however small: all proxies behind one connection answer a push at once.
    fn connection_window_bytes(&self) -> u32 {
        self.streams.saturating_mul(WINDOW_BYTES_A_STREAM).max(LEAST_CONNECTION_WINDOW_BYTES)
    }

    /// Ends when the connection is old.
    pub(super) async fn aging(&self) {
        match self.age {
            Some(age) => sleep(jittered(age, fastrand::f64())).await,
            None => future::pending().await,
        }
    }
}

fn time(section: &Section<'_>, key: &str, default: Duration) -> Duration {
    section.within(key, default, SHORTEST..=LONGEST)
}

/// `age` made shorter or longer by up to a tenth, `jitter` being in [0, 1): peers that came together after a
/// restart must not return together.
fn jittered(age: Duration, jitter: f64) -> Duration {
    age.mul_f64(0.9 + 0.2 * jitter)
}

const LONGEST_TO_HEAD: Duration = Duration::from_secs(15);
const SHORTEST: Duration = Duration::from_millis(10);
const MOMENT: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of one stream that its peer does not read; an answer or a secret is below 8 kB.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// What a peer may send ahead of being read. Larger windows measured no faster at messages of 1.5 kB.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const LEAST_CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
const WINDOW_BYTES_A_STREAM: u32 = 1 << 10;
/// Streams that a peer opened and reset before we saw them ("rapid reset", CVE-2023-44487); then GOAWAY.
const MOST_RESETS_AT_ONCE: usize = 20;
/// Streams that we had to reset because the peer broke a rule (CVE-2025-8671); then GOAWAY.
const MOST_STREAM_ERRORS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Environment};

    #[test]
    fn an_age_is_spread_by_a_tenth_each_way() {
        let age = Duration::from_secs(1000);

        assert_eq!(jittered(age, 0.0), Duration::from_secs(900));
        assert_eq!(jittered(age, 0.5), Duration::from_secs(1000));
        assert!(jittered(age, 0.999_999) <= Duration::from_secs(1100));
    }

    #[test]
    fn a_process_waits_longer_than_its_connections_may_take() {
        let limits = limits("grace = '7s'").unwrap();
        assert!(limits.grace() > limits.grace, "cut, and counted as that");
    }

    #[test]
    fn an_empty_section_gives_the_defaults() {
        assert_eq!(limits("").unwrap(), Limits::default());
    }

    #[test]
    fn every_limit_is_set_by_its_key() {
        let text = "handshake_timeout = '1s'\npreface_timeout = '2s'\nkeep_alive = '3s'\nkeep_alive_timeout = '4s'\n\
                    max_age = '5s'\ngrace = '6s'\nrequest_timeout = '7s'\nmax_streams = 8\nmax_header_list_bytes = 9000";
        let seconds = Duration::from_secs;
        let expected = Limits {
            handshake: seconds(1),
            preface: seconds(2),
            keep_alive: seconds(3),
            keep_alive_timeout: seconds(4),
            age: Some(seconds(5)),
            grace: seconds(6),
            request: seconds(7),
            streams: 8,
            header_list_bytes: 9000,
        };

        assert_eq!(limits(text).unwrap(), expected);
    }

    #[test]
    fn limits_that_are_none_are_refused() {
        for text in ["grace = '0s'", "max_age = '1y'", "max_streams = 0", "max_header_list_bytes = 2000000"] {
            assert!(limits(text).unwrap_err().contains("is out of bounds"), "{text}");
        }
    }

    fn limits(text: &str) -> Result<Limits, String> {
        let environment = Environment::of("T_", &[], [("", ""); 0]);
        let document = Document::parse("t.toml", text, environment).unwrap();
        let limits = Limits::from_section(&document.root());
        document.finish(Some(limits)).map_err(|faults| faults.to_string())
    }
}
