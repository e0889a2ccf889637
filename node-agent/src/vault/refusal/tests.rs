//! What each failure comes to, to the workload and to the renewer.

use signet_backends::vault::IssuerPath;
use signet_client::Reachability;
use signet_identity::{CertificateRequest, PrivateKey};
use tokio::time::Instant;

use super::*;
use crate::{
    trouble::Trouble,
    vault::testing::{issuer_chain, vault_config},
};

fn refuser() -> Refuser {
    Refuser::of(&vault_config(), Duration::from_secs(5))
}

/// Everything that may come of a request to Vault, by what an operator calls it.
fn failures() -> Vec<(&'static str, VaultError)> {
    let (address, path) = (|| "http://vault".to_owned(), || "pki/sign/r".to_owned());
    let reason = || "because".to_owned();
    let sealed = || VaultError::Sealed { address: address() };
    let failing = |retry_after| VaultError::Failing { status: 500, reason: reason(), retry_after };
    vec![
        ("refused", VaultError::Refused { path: path(), reason: reason() }),
        ("denied", VaultError::Denied { path: path(), reason: reason() }),
        (
            "denied a moment ago",
            VaultError::Login(Arc::new(VaultError::Denied { path: path(), reason: reason() })),
        ),
        ("unconfirmed", VaultError::Unconfirmed { path: path(), reason: reason(), remedy: "" }),
        ("rate limit", VaultError::RateLimited { retry_after: Some(Duration::from_secs(3600)) }),
        ("queue full", VaultError::Overloaded { queue: 1 }),
        ("failing", failing(None)),
        ("failing for a while", failing(Some(Duration::from_secs(1)))),
        ("no such path", VaultError::NoSuchPath { path: path() }),
        ("nonsense", VaultError::Nonsense { path: path(), reason: reason() }),
        ("timed out", VaultError::TimedOut { address: address(), after: Duration::from_secs(5) }),
        ("no time", VaultError::NoTime),
        ("sealed", sealed()),
        ("sealed a moment ago", VaultError::Away(Arc::new(sealed()))),
        ("standby", VaultError::Standby { address: address() }),
        ("not trusted", VaultError::NotTrusted { address: address(), reason: reason() }),
    ]
}

fn class(error: &CaError) -> &'static str {
    match error {
        CaError::TokenRefused(_) => "token refused",
        CaError::Denied(_) => "denied",
        CaError::Overloaded(_) => "overloaded",
        CaError::Unavailable(Outage::Answered(_)) => "answered",
        CaError::Unavailable(Outage::NoAnswer { .. }) => "silent",
        CaError::Unavailable(Outage::NotServing { .. }) => "not serving",
        CaError::Unavailable(Outage::Disconnected { .. }) => "disconnected",
        CaError::Unavailable(Outage::Broken { .. }) => "broken",
        CaError::MalformedAnswer(_) => "malformed",
    }
}

#[test]
fn a_login_is_refused_to_the_token_and_a_signature_to_the_request_and_outages_are_waited_for() {
    let refuser = refuser();
    let expected = [
        ("refused", "token refused", "denied"),
        ("denied", "token refused", "denied"),
        ("denied a moment ago", "token refused", "denied"),
        ("unconfirmed", "answered", "answered"),
        ("rate limit", "overloaded", "overloaded"),
        ("queue full", "overloaded", "overloaded"),
        ("failing", "answered", "answered"),
        ("failing for a while", "answered", "answered"),
        ("no such path", "answered", "answered"),
        ("nonsense", "answered", "answered"),
        ("timed out", "silent", "silent"),
        ("no time", "silent", "silent"),
        ("sealed", "not serving", "not serving"),
        ("sealed a moment ago", "not serving", "not serving"),
        ("standby", "not serving", "not serving"),
        ("not trusted", "disconnected", "disconnected"),
    ];
    for ((name, error), (same, login, signature)) in failures().into_iter().zip(expected) {
        assert_eq!(name, same, "the tables have the same rows");
        assert_eq!(class(&refuser.refuse(error.clone(), Stage::Login)), login, "{name}: login");
        assert_eq!(class(&refuser.refuse(error, Stage::Signature)), signature, "{name}: signature");
    }
}

#[test]
fn only_what_vault_said_of_the_token_or_the_request_closes_a_stream() {
    let refuser = refuser();
    for (name, error) in failures() {
        let trouble = Trouble::from(refuser.refuse(error, Stage::Login));
        assert_eq!(trouble.passes(), !["refused", "denied", "denied a moment ago"].contains(&name), "{name}");
    }
}

#[test]
fn vault_may_not_silence_an_agent_for_longer_than_five_minutes() {
    let limited = VaultError::RateLimited { retry_after: Some(Duration::from_secs(3600)) };
    let refused = refuser().refuse(limited, Stage::Login);
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(300)));
}

#[test]
fn what_vault_says_is_told_with_its_cause() {
    let login = VaultError::Login(Arc::new(VaultError::Refused {
        path: "auth/jwt/login".to_owned(),
        reason: "token is expired".to_owned(),
    }));
    let told = refuser().refuse(login, Stage::Login).to_string();
    assert!(told.contains("auth/jwt/login") && told.contains("token is expired"), "{told}");
}

#[test]
fn a_vault_that_is_silent_is_back_when_it_signs_and_one_that_is_away_when_it_answers() {
    use Reachability::{Disconnected, Failing, Reachable};
    let refuser = refuser();
    for (name, error) in failures() {
        let called = event(Some(&refuser.refuse(error.clone(), Stage::Login)));
        let state = called.map_or(Reachable, |event| Reachable.after(event));
        let (expected, after_a_look) = match name {
            "sealed" | "sealed a moment ago" | "standby" | "not trusted" => (Disconnected, Reachable),
            "timed out" | "no time" | "nonsense" => (Failing, Failing),
            _ => (Reachable, Reachable),
        };
        assert_eq!(state, expected, "{name}");
        assert_eq!(state.after(CaEvent::Connected), after_a_look, "{name}, and a look");
        assert_eq!(state.after(CaEvent::Answered), Reachable, "{name}, and a signature");
    }
}

#[test]
fn a_vault_that_answers_and_never_said_who_signs_is_away() {
    use Reachability::{Disconnected, Failing, Reachable};
    let refuser = refuser();
    let known = Issuers::after(None, issuer_chain("i"), IssuerPath::OfTheRole, Instant::now());
    for (name, error) in failures() {
        let refused = refuser.refuse(error, Stage::Signature);
        let after = |known| event_of_look(&refused, known).map(|event| Reachable.after(event));
        let (first, later) = match name {
            "sealed" | "sealed a moment ago" | "standby" | "not trusted" => {
                (Some(Disconnected), Some(Disconnected))
            }
            "timed out" | "no time" | "nonsense" => (Some(Failing), Some(Failing)),
            "rate limit" | "queue full" => (None, None),
            _ => (Some(Disconnected), None),
        };
        assert_eq!((after(None), after(Some(&known))), (first, later), "{name}");
    }
}

#[test]
fn a_csr_asks_for_exactly_one_identity() {
    let identity: SpiffeId = "spiffe://td.test/ns/a/sa/web".parse().unwrap();
    let csr = CertificateRequest::pem(&PrivateKey::generate().unwrap(), &identity).unwrap();
    assert_eq!(identity_asked_for(&csr).unwrap(), identity);
    assert_eq!(class(&identity_asked_for("no CSR").unwrap_err()), "denied");
}
