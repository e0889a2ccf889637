//! What every backend must do, as one table of named cases.
//!
//! A backend's test gives a constructor and asserts that nothing is returned:
//! `assert_eq!(conformance::failures("its name", async || backend()).await, [])`. Certificates are held to the rules of
//! X.509-SVID and to what was approved, not to the profile of our own leaves: others sign too. Each outcome is a line of
//! output that begins with `conformance`, for whoever wants to see the table.

mod cases;
mod tests;
mod workload;

use std::{pin::Pin, sync::Arc, time::SystemTime};

use signet_identity::TrustBundle;
use signet_runtime::telemetry::chain;

use crate::Issuer;

/// A backend as the suite needs it: one that issues for [`TRUST_DOMAIN`].
pub(crate) struct Backend {
    /// What is under test.
    pub(crate) issuer: Arc<dyn Issuer>,
    /// Whom its certificates' peers trust.
    pub(crate) bundle: TrustBundle,
    /// What time it is for the backend.
    pub(crate) clock: fn() -> SystemTime,
    /// The end of the certificate that signs: no leaf may outlive it.
    pub(crate) signer_ends: SystemTime,
    /// Has the authority that it asks go away and come back. `None`: it asks nobody.
    pub(crate) elsewhere: Option<Elsewhere>,
}

impl Backend {
    fn now(&self) -> SystemTime {
        (self.clock)()
    }
}

/// What becomes of an authority that a backend asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It says nothing.
    Silent,
    /// It says that it cannot serve.
    Closed,
    /// As ever.
    Serves,
}

pub(crate) type Elsewhere = Box<dyn Fn(State) + Send + Sync>;

/// The trust domain of every identity that the suite asks for.
pub(crate) const TRUST_DOMAIN: &str = "cluster.local";

/// A case that a backend did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What every backend must do.
    pub(crate) case: &'static str,
    /// What this one did.
    pub(crate) reason: String,
}

/// Runs every case on a backend of its own, and returns those that failed.
pub(crate) async fn failures(backend: &str, construct: impl AsyncFn() -> Backend) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (case, run) in CASES {
        let outcome = run(&construct().await).await;
        let mark = match &outcome {
            Ok(Held::Yes) => "ok",
            Ok(Held::NotApplicable) => "-",
            Err(_) => "FAILED",
        };
        println!("conformance  {backend}  {mark}  {case}");
        if let Err(error) = outcome {
            failures.push(Failure { case, reason: chain(&*error).to_string() });
        }
    }
    failures
}

/// Whether a backend is what a case asks for.
#[derive(Debug, PartialEq, Eq)]
enum Held {
    Yes,
    /// It cannot get into the situation that the case is about.
    NotApplicable,
}

type Outcome = Result<Held, Box<dyn std::error::Error + Send + Sync>>;
type Case = for<'a> fn(&'a Backend) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

const CASES: &[(&str, Case)] = &[
    ("a peer accepts the leaf, for the key and the identity approved", |backend| {
        Box::pin(cases::peers_accept_the_leaf(backend))
    }),
    ("the names are those approved, and nothing else of the CSR comes in", |backend| {
        Box::pin(cases::only_approved_names(backend))
    }),
    ("the leaf lives no longer than approved, and is not backdated further than clocks differ", |backend| {
        Box::pin(cases::approved_lifetime(backend))
    }),
    ("the leaf never outlives its signer", |backend| Box::pin(cases::never_outlives_the_signer(backend))),
    ("each certificate is followed by its issuer's, and the root is left out", |backend| {
        Box::pin(cases::chain_in_order(backend))
    }),
    ("64 at once have 64 serials", |backend| Box::pin(cases::many_at_once(backend))),
    ("a call that nobody waits for any more harms no other", |backend| {
        Box::pin(cases::dropped_calls(backend))
    }),
    ("no call outlasts its deadline", |backend| Box::pin(cases::deadline(backend))),
    ("while its authority is away, it says so in time, and that it will pass; then it signs", |backend| {
        Box::pin(cases::authority_away(backend))
    }),
];
