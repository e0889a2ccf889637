//! Answers of a CA, right and wrong, and what is made of them.

use std::time::{Duration, SystemTime};

use signet_client::{Issued, Refusal};
use signet_identity::testing::TestAuthority;
use signet_identity::{CertificateRequest, PrivateKey};
use tonic::Code;

use super::*;

const ORDERS: &str = "spiffe://td.test/ns/shop/sa/orders";
const HOUR: Duration = Duration::from_secs(3600);

/// A CA, and a workload that asked it for a certificate of an hour.
struct Fixture {
    authority: TestAuthority,
    ask: Ask,
    now: SystemTime,
}

impl Fixture {
    fn new() -> Self {
        let now = SystemClock.now();
        let key = PrivateKey::generate().unwrap();
        let identity: SpiffeId = ORDERS.parse().unwrap();
        let ask = Ask {
            csr_pem: CertificateRequest::pem(&key, &identity).unwrap(),
            identity: Some(identity),
            public_key: Ok(key.public_key().clone()),
            lifetime: Some(HOUR),
            key: Some(key),
            is_key_new: true,
        };
        Self { authority: TestAuthority::new("td.test", now).intermediate(now), ask, now }
    }

    fn leaf(&self) -> signet_identity::testing::TestLeaf<'_> {
        let key = self.ask.public_key.as_ref().unwrap();
        self.authority.leaf(key, self.ask.identity.as_ref().unwrap(), self.now)
    }

    fn answered(&self, chain: Vec<rustls_pki_types::CertificateDer<'static>>) -> Answered {
        let bundle = self.authority.bundle();
        Answered {
            anchors: bundle.authorities().to_vec(),
            issued: Issued { chain, bundle },
            taken: Taken { connect: Duration::from_millis(3), issue: Duration::from_millis(2) },
            at: self.now,
        }
    }
}

#[test]
fn what_is_as_asked_holds_in_every_point() {
    let fixture = Fixture::new();
    let answer = fixture.answered(fixture.leaf().sign()).judge(&fixture.ask).unwrap();
    let shown = answer.to_string();
    assert!(answer.held() && !shown.contains('✗'), "{shown}");
    assert!(shown.contains("leaf and 1 intermediate") && shown.contains("1h as asked"), "{shown}");
}

#[test]
fn each_fault_of_an_answer_is_told_in_its_own_line() {
    let fixture = Fixture::new();
    let (now, other) = (fixture.now, PrivateKey::generate().unwrap());
    let stranger = TestAuthority::new("td.test", now);
    let identity = fixture.ask.identity.as_ref().unwrap();
    let key = fixture.ask.public_key.as_ref().unwrap();
    let over = now - Duration::from_secs(1);
    for (name, chain, broken) in [
        ("for somebody else", fixture.leaf().uris(&["spiffe://td.test/ns/a/sa/b"]).sign(), &["name"][..]),
        ("for another key", fixture.authority.leaf(other.public_key(), identity, now).sign(), &["key"]),
        ("by somebody else", stranger.leaf(key, identity, now).sign(), &["chain", "anchors"]),
        ("without its intermediate", vec![fixture.leaf().sign().remove(0)], &["chain", "anchors"]),
        ("cut short", fixture.leaf().valid(now - HOUR, now + HOUR / 2).sign(), &["lifetime"]),
        ("too long", fixture.leaf().valid(now - HOUR, now + 2 * HOUR).sign(), &["lifetime"]),
        ("over", fixture.leaf().valid(now - HOUR, over).sign(), &["chain", "anchors", "lifetime"]),
        ("a CA's", fixture.leaf().ca().sign(), &["chain", "anchors", "rules"]),
        ("no SVID", fixture.leaf().uris(&["https://td.test"]).sign(), &["name", "rules"]),
        ("two names", fixture.leaf().uris(&[ORDERS, "spiffe://td.test/b"]).sign(), &["name", "rules"]),
    ] {
        let answer = fixture.answered(chain).judge(&fixture.ask).unwrap();
        let found: Vec<_> =
            answer.checks.iter().filter(|check| !check.held()).map(|check| check.name()).collect();
        assert_eq!(found, broken, "{name}:\n{answer}");
        assert!(!answer.held(), "{name}");
    }
}

#[test]
fn a_lifetime_that_was_left_to_the_ca_may_be_any() {
    let fixture = Fixture::new();
    let ask = Ask { lifetime: None, ..fixture.ask };
    let fixture = Fixture { ask, ..fixture };
    assert!(fixture.answered(fixture.leaf().sign()).judge(&fixture.ask).unwrap().held());
}

#[test]
fn a_refusal_shows_status_request_and_remedy_and_an_outage_is_none() {
    let token = Token::new("a.b.c").unwrap();
    let refusal = |code| Refusal {
        code,
        message: "no \u{1b}[31mway".to_owned(),
        request_id: Some("r-7".to_owned()),
        retry_after: None,
    };
    for (error, parts) in [
        (
            CaError::TokenRefused(refusal(Code::Unauthenticated)),
            ["UNAUTHENTICATED", "r-7", "signet token inspect"],
        ),
        (CaError::Denied(refusal(Code::PermissionDenied)), ["PERMISSION_DENIED", "r-7", "and no other"]),
    ] {
        let shown = refused(error, &token).unwrap().to_string();
        assert!(parts.iter().all(|part| shown.contains(part)), "{shown}");
        assert!(!shown.contains("\u{1b}[31mway"), "the CA writes to the terminal: {shown:?}");
    }
    for (error, text) in [
        (
            CaError::Overloaded(Refusal { retry_after: Some(HOUR), ..refusal(Code::ResourceExhausted) }),
            "ask again in 1h",
        ),
        (CaError::Unavailable(Outage::Answered(refusal(Code::Internal))), "cannot serve this request now"),
    ] {
        let told = unavailable(refused(error, &token).unwrap_err()).to_string();
        assert!(told.contains(text) && told.contains("r-7"), "{told}");
    }
}
