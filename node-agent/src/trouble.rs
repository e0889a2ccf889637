//! Why a workload has no SVID, or none newer, and what that means for its streams.

use std::{sync::Arc, time::Duration};

use signet_client::{CaError, TokenError};
use signet_identity::{BundleError, KeyError, RequestError, SvidError, jwt::JwtError};
use signet_runtime::telemetry::chain;
use tonic::{Code, Status};

use crate::workload::audience::AudienceFault;

/// Why there is no new SVID, ordered by whose fault it is. The text goes to the proxy, whose log shows it, and
/// says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The proxy showed no token on a socket that wants one.
    #[error(
        "no token on this stream; configure the proxy to send one as `istio_sds_credentials_header-bin` or `authorization`"
    )]
    NoToken,
    /// The token claims to have ended.
    #[error(
        "the token of this stream has expired; open the stream again with a fresh one, and check that the token file is rotated"
    )]
    TokenOver,
    /// What was shown cannot be read.
    #[error("the token is no JWT that can be read; want the service-account token as Kubernetes mounts it")]
    NoJwt(#[source] JwtError),
    /// The token is not for whom it would be shown to.
    #[error("the token of this stream is for somebody else")]
    WrongAudience(#[source] AudienceFault),
    /// The token names no service account, so there is no SVID to ask for.
    #[error("the token's `sub` is no service account; want `system:serviceaccount:<namespace>:<name>`")]
    TokenNamesNobody,
    /// The CA said no.
    #[error("no SVID for this token")]
    Refused(#[source] CaError),
    /// The agent holds as much as it may.
    #[error("this agent holds {most} SVIDs already; raise `limits.streams`, or look for whoever opens them")]
    TooManyEntries {
        /// The bound.
        most: usize,
    },
    /// The socket's token file is no token.
    #[error("the workload's token cannot be read; it is tried again by itself")]
    TokenFile(#[source] TokenError),
    /// The CA has too much to do, or is away.
    #[error("no SVID yet")]
    CaAway(#[source] CaError),
    /// The CA answered what cannot be served.
    #[error("the CA's answer is of no use; tell the operator of the CA")]
    NonsenseFromCa(#[source] CaError),
    /// The bundle that is held and the CA's make none.
    #[error("the CA's roots are of no use; tell the operator of the CA")]
    UselessBundle(#[source] BundleError),
    /// The certificate is not what was asked for, or no peer would accept it.
    #[error("the CA's certificate does not verify and is not served; tell the operator of the CA")]
    UselessSvid(#[source] SvidError),
    /// No key could be made.
    #[error("cannot make a key; this is a fault of the agent or of the system's random source")]
    NoKey(#[source] KeyError),
    /// No CSR could be made.
    #[error("cannot make a CSR; this is a fault of the agent or of the system's random source")]
    NoCsr(#[source] RequestError),
    /// The attempt panicked.
    #[error(
        "the attempt at an SVID ended in a bug of the agent; it is tried again by itself, and what the agent wrote to its standard error tells where"
    )]
    Bug,
}

impl Trouble {
    /// The status that ends a stream, with all causes.
    pub(crate) fn status(&self) -> Status {
        Status::new(self.code(), chain(self).to_string())
    }

    /// Whether it passes by itself, so that a stream is better off waiting than being closed.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::CaAway(_) | Self::TokenFile(_))
    }

    /// How long the CA wants to be left alone; zero when it said nothing.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::CaAway(error) => error.retry_after().unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::NoToken
            | Self::TokenOver
            | Self::NoJwt(_)
            | Self::WrongAudience(_)
            | Self::TokenNamesNobody => Code::Unauthenticated,
            Self::Refused(CaError::Denied(_)) => Code::PermissionDenied,
            Self::Refused(_) => Code::Unauthenticated,
            Self::TooManyEntries { .. } => Code::ResourceExhausted,
            Self::TokenFile(_)
            | Self::CaAway(_)
            | Self::NonsenseFromCa(_)
            | Self::UselessBundle(_)
            | Self::UselessSvid(_) => Code::Unavailable,
            Self::NoKey(_) | Self::NoCsr(_) | Self::Bug => Code::Internal,
        }
    }

    /// Every word of [`outcome`](Self::outcome).
    pub(crate) const OUTCOMES: [&str; 7] =
        ["bad_token", "refused", "full", "overloaded", "unavailable", "bad_answer", "internal"];

    /// One word for the metric and the log: one of [`OUTCOMES`](Self::OUTCOMES).
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::NoToken
            | Self::TokenOver
            | Self::NoJwt(_)
            | Self::WrongAudience(_)
            | Self::TokenNamesNobody
            | Self::TokenFile(_) => "bad_token",
            Self::Refused(_) => "refused",
            Self::TooManyEntries { .. } => "full",
            Self::CaAway(CaError::Overloaded(_)) => "overloaded",
            Self::CaAway(_) => "unavailable",
            Self::NonsenseFromCa(_) | Self::UselessBundle(_) | Self::UselessSvid(_) => "bad_answer",
            Self::NoKey(_) | Self::NoCsr(_) | Self::Bug => "internal",
        }
    }
}

impl From<CaError> for Trouble {
    fn from(error: CaError) -> Self {
        match error {
            CaError::TokenRefused(_) | CaError::Denied(_) => Self::Refused(error),
            CaError::Overloaded(_) | CaError::Unavailable(_) => Self::CaAway(error),
            CaError::MalformedAnswer(_) => Self::NonsenseFromCa(error),
        }
    }
}

/// An SVID is withheld: why, and for how long the stream is kept open before it is told.
#[derive(Debug, Clone)]
pub(crate) struct Withheld {
    why: Arc<Trouble>,
    hold: Option<Duration>,
    stands_for: Option<Duration>,
}

impl Withheld {
    /// The stream waits until the trouble has passed.
    pub(crate) fn for_now(why: Arc<Trouble>) -> Self {
        Self { why, hold: None, stands_for: None }
    }

    /// The stream is closed, but only after `hold`: Envoy retries after every status.
    pub(crate) fn closing_after(why: Arc<Trouble>, hold: Duration) -> Self {
        Self { why, hold: Some(hold), stands_for: None }
    }

    /// The same, and whoever asks again after `time` may fare better.
    pub(crate) fn standing_for(self, time: Duration) -> Self {
        Self { stands_for: Some(time), ..self }
    }

    /// The `times`th time in a row: the hold doubles from 1 s to 30 s. Trouble that passes holds for good.
    pub(crate) fn again(why: Arc<Trouble>, times: u32) -> Self {
        if why.passes() { Self::for_now(why) } else { Self::closing_after(why, hold(times)) }
    }

    /// What stands in the way.
    pub(crate) fn why(&self) -> &Arc<Trouble> {
        &self.why
    }

    /// How long the stream is kept open; `None`: until the trouble has passed.
    pub(crate) fn hold(&self) -> Option<Duration> {
        self.hold
    }

    /// When a stream that is still open should ask again; `None`: it is told, or would fare no better.
    pub(crate) fn stands_for(&self) -> Option<Duration> {
        self.stands_for
    }
}

/// How long a stream is held that is closed for the `times`th time.
pub(crate) fn hold(times: u32) -> Duration {
    FIRST_HOLD.saturating_mul(1 << times.saturating_sub(1).min(5)).min(LONGEST_HOLD)
}

const FIRST_HOLD: Duration = Duration::from_secs(1);
/// Envoy's own longest back-off.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use signet_client::{AnswerFault, Outage, Refusal};

    use super::*;

    fn refusal(code: Code) -> Refusal {
        Refusal { code, message: "no".to_owned(), request_id: Some("r-1".to_owned()), retry_after: None }
    }

    #[test]
    fn each_trouble_of_the_ca_has_its_status_and_only_an_absent_ca_is_waited_for() {
        for (error, code, passes) in [
            (CaError::TokenRefused(refusal(Code::Unauthenticated)), Code::Unauthenticated, false),
            (CaError::Denied(refusal(Code::PermissionDenied)), Code::PermissionDenied, false),
            (CaError::Overloaded(refusal(Code::ResourceExhausted)), Code::Unavailable, true),
            (CaError::Unavailable(Outage::Answered(refusal(Code::Unavailable))), Code::Unavailable, true),
        ] {
            let trouble = Trouble::from(error);
            assert_eq!((trouble.status().code(), trouble.passes()), (code, passes), "{trouble:?}");
            assert!(trouble.status().message().contains("r-1"), "the request id: {trouble:?}");
        }
    }

    #[test]
    fn the_outcomes_are_all_that_trouble_comes_to() {
        let nonsense = AnswerFault::NotCertificates { index: 0 };
        let outcomes = [
            Trouble::NoToken,
            Trouble::Refused(CaError::Denied(refusal(Code::PermissionDenied))),
            Trouble::TooManyEntries { most: 1 },
            Trouble::CaAway(CaError::Overloaded(refusal(Code::ResourceExhausted))),
            Trouble::CaAway(CaError::Unavailable(Outage::Answered(refusal(Code::Unavailable)))),
            Trouble::NonsenseFromCa(CaError::MalformedAnswer(nonsense)),
            Trouble::Bug,
        ]
        .map(|trouble| trouble.outcome());
        assert_eq!(outcomes, Trouble::OUTCOMES);
    }

    #[test]
    fn a_refused_stream_is_held_longer_each_time_up_to_30_s() {
        let holds: Vec<_> = (1..9).map(|times| hold(times).as_secs()).collect();
        assert_eq!(holds, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn trouble_that_passes_holds_the_stream_for_good() {
        let away = Trouble::CaAway(CaError::Unavailable(Outage::Answered(refusal(Code::Unavailable))));
        assert_eq!(Withheld::again(Arc::new(away), 3).hold(), None);
        assert_eq!(Withheld::again(Arc::new(Trouble::TokenOver), 3).hold(), Some(Duration::from_secs(4)));
    }
}
