//! What the agent counts. One place, so that names and labels stay a closed set.

use std::time::{Duration, SystemTime};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use signet_client::Reachability;
use signet_identity::TrustBundle;
use tonic::Code;

use crate::{renewer::BUNDLE_OUTCOMES, trouble::Trouble};

const STREAMS: &str = "signet_agent_streams";
const PUSHES: &str = "signet_agent_pushes_total";
const NACKS: &str = "signet_agent_nacks_total";
const REFUSED_REQUESTS: &str = "signet_agent_refused_requests_total";
const REFUSED_STREAMS: &str = "signet_agent_refused_streams_total";
const RENEWALS: &str = "signet_agent_renewals_total";
const RENEWAL_SECONDS: &str = "signet_agent_renewal_seconds";
const RECALLS: &str = "signet_agent_recalls_total";
const SVIDS: &str = "signet_agent_svids";
const FIRST_EXPIRY: &str = "signet_agent_svid_first_expiry_timestamp_seconds";
const BUNDLE_POLLS: &str = "signet_agent_bundle_polls_total";
const BUNDLE_TOLD: &str = "signet_agent_bundle_told_timestamp_seconds";
const BUNDLE_SEQUENCE: &str = "signet_agent_bundle_sequence";
const BUNDLE_ROOTS: &str = "signet_agent_bundle_roots";
const CA_REACHABLE: &str = "signet_agent_ca_reachable";

/// Says what each metric means, and shows gauges and counters as they are at the start: one that appears late cannot
/// be alerted on, and the first increase of a counter that appears with it is lost. To be called once, after the recorder is installed.
pub fn describe() {
    describe_gauge!(STREAMS, Unit::Count, "SDS streams that are open");
    describe_counter!(PUSHES, Unit::Count, "Responses sent to proxies, by kind of secret");
    describe_counter!(NACKS, Unit::Count, "Responses that a proxy rejected; the log has its reason");
    describe_counter!(REFUSED_REQUESTS, Unit::Count, "Requests that can never be answered, by gRPC status");
    describe_counter!(
        REFUSED_STREAMS,
        Unit::Count,
        "Streams refused by a bound, or closed for want of an SVID"
    );
    describe_counter!(RENEWALS, Unit::Count, "Attempts at an SVID, by how they ended");
    describe_histogram!(RENEWAL_SECONDS, Unit::Seconds, "From key generation to the CA's answer");
    describe_counter!(RECALLS, Unit::Count, "SVIDs whose streams were closed for a fresh token");
    describe_gauge!(SVIDS, Unit::Count, "SVIDs that are held and serve");
    describe_gauge!(
        FIRST_EXPIRY,
        Unit::Seconds,
        "When the first of the held SVIDs ends; 0 when none is held"
    );
    describe_gauge!(CA_REACHABLE, Unit::Count, "1 while the CA answers, else 0");
    describe_counter!(BUNDLE_POLLS, Unit::Count, "Questions for the roots alone, by how they ended");
    describe_gauge!(
        BUNDLE_TOLD,
        Unit::Seconds,
        "When the CA last told its roots, alone or with an SVID, since 1970; 0 while none are held"
    );
    describe_gauge!(
        BUNDLE_SEQUENCE,
        Unit::Count,
        "How often the bundle that is held had changed at the CA; 0 if the CA does not count"
    );
    describe_gauge!(BUNDLE_ROOTS, Unit::Count, "Roots that are held");
    signet_backends::vault::describe_metrics("signet_agent");
    gauge!(STREAMS).set(0.0);
    for bundle in [BUNDLE_TOLD, BUNDLE_SEQUENCE, BUNDLE_ROOTS] {
        gauge!(bundle).set(0.0);
    }
    svids(std::iter::empty());
    ca(Reachability::Unknown);
    count_from_zero();
}

/// Every counter with every label that it can have.
fn count_from_zero() {
    counter!(NACKS).increment(0);
    counter!(RECALLS).increment(0);
    for content in [Content::Svid, Content::Bundle] {
        counter!(PUSHES, "secret" => content.label()).increment(0);
    }
    for code in [Code::PermissionDenied, Code::NotFound, Code::InvalidArgument] {
        counter!(REFUSED_REQUESTS, "code" => format!("{code:?}")).increment(0);
    }
    for reason in ["node_full", "peer_full"].into_iter().chain(Trouble::OUTCOMES) {
        counter!(REFUSED_STREAMS, "reason" => reason).increment(0);
    }
    for outcome in BUNDLE_OUTCOMES {
        counter!(BUNDLE_POLLS, "outcome" => outcome).increment(0);
    }
    for outcome in ["issued"].into_iter().chain(Trouble::OUTCOMES) {
        counter!(RENEWALS, "outcome" => outcome).increment(0);
    }
}

/// An attempt at an SVID ended so.
pub(crate) fn attempt_ended(outcome: &'static str, took: Duration) {
    counter!(RENEWALS, "outcome" => outcome).increment(1);
    histogram!(RENEWAL_SECONDS).record(took.as_secs_f64());
}

/// A question for the roots alone ended so: one of [`BUNDLE_OUTCOMES`].
pub(crate) fn bundle_poll_ended(outcome: &'static str) {
    counter!(BUNDLE_POLLS, "outcome" => outcome).increment(1);
}

/// These roots are held, and the CA told its own now.
pub(crate) fn bundle(held: &TrustBundle, now: SystemTime) {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(BUNDLE_TOLD).set(since_1970.as_secs_f64());
    gauge!(BUNDLE_SEQUENCE).set(held.version().map_or(0.0, |version| version.sequence as f64));
    gauge!(BUNDLE_ROOTS).set(held.authorities().len() as f64);
}

/// The streams of an SVID were asked to come back.
pub(crate) fn recalled() {
    counter!(RECALLS).increment(1);
}

/// The ends of all SVIDs that are held.
pub(crate) fn svids(ends: impl Iterator<Item = SystemTime>) {
    let (mut count, mut first) = (0_u32, None::<SystemTime>);
    for end in ends {
        count += 1;
        first = Some(first.map_or(end, |first| first.min(end)));
    }
    let since_1970 = first.and_then(|first| first.duration_since(SystemTime::UNIX_EPOCH).ok());
    gauge!(SVIDS).set(f64::from(count));
    gauge!(FIRST_EXPIRY).set(since_1970.unwrap_or_default().as_secs_f64());
}

/// Whether the CA answers.
pub(crate) fn ca(reachability: Reachability) {
    gauge!(CA_REACHABLE).set(if reachability == Reachability::Reachable { 1.0 } else { 0.0 });
}

/// A stream was opened.
pub(crate) fn stream_opened() {
    gauge!(STREAMS).increment(1.0);
}

/// A stream has ended.
pub(crate) fn stream_ended() {
    gauge!(STREAMS).decrement(1.0);
}

/// What a response was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// An SVID, with or without roots.
    Svid,
    /// Roots alone.
    Bundle,
}

impl Content {
    fn label(self) -> &'static str {
        match self {
            Self::Svid => "svid",
            Self::Bundle => "bundle",
        }
    }
}

/// A response went out.
pub(crate) fn pushed(content: Content) {
    counter!(PUSHES, "secret" => content.label()).increment(1);
}

/// A proxy rejected a response.
pub(crate) fn rejected() {
    counter!(NACKS).increment(1);
}

/// A request can never be answered.
pub(crate) fn refused_request(code: Code) {
    counter!(REFUSED_REQUESTS, "code" => format!("{code:?}")).increment(1);
}

/// A stream was refused, or closed with nothing to show for it.
pub(crate) fn refused_stream(reason: &'static str) {
    counter!(REFUSED_STREAMS, "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn every_gauge_is_there_before_the_first_svid() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        let shown = recorder.handle().render();
        let of_bundle = [BUNDLE_TOLD, BUNDLE_SEQUENCE, BUNDLE_ROOTS];
        for gauge in [STREAMS, SVIDS, FIRST_EXPIRY, CA_REACHABLE].into_iter().chain(of_bundle) {
            assert!(shown.lines().any(|line| line == format!("{gauge} 0")), "{gauge}: {shown}");
        }
    }
    #[test]
    fn every_counter_is_there_at_zero_before_anything_is_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        let shown = recorder.handle().render();
        let labelled = [
            (RENEWALS, "outcome", &["issued", "refused", "unavailable", "overloaded", "bad_answer"][..]),
            (RENEWALS, "outcome", &["bad_token", "full", "internal"]),
            (REFUSED_STREAMS, "reason", &["node_full", "peer_full", "bad_token"]),
            (REFUSED_REQUESTS, "code", &["PermissionDenied", "NotFound", "InvalidArgument"]),
            (PUSHES, "secret", &["svid", "bundle"]),
            (BUNDLE_POLLS, "outcome", &["told", "not_offered", "failed"]),
        ];
        let labelled = labelled.into_iter().flat_map(|(counter, key, values)| {
            values.iter().map(move |value| format!("{counter}{{{key}=\"{value}\"}} 0"))
        });
        for wanted in labelled.chain([NACKS, RECALLS].map(|counter| format!("{counter} 0"))) {
            assert!(shown.lines().any(|line| line == wanted), "{wanted}: {shown}");
        }
    }
}
