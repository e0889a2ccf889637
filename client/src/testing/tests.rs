//! The fake against the checks that a peer makes.

use std::time::SystemTime;

use signet_identity::{Expected, ManualClock, SvidError, X509Svid};

use super::*;

struct Workload {
    ca: FakeCa,
    clock: Arc<ManualClock>,
    identity: SpiffeId,
    key: PrivateKey,
}

impl Workload {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + 500_000 * HOUR));
        let trust_domain: TrustDomain = "td.test".parse().unwrap();
        Self {
            identity: SpiffeId::workload(&trust_domain, "foo", "bar").unwrap(),
            ca: FakeCa::new(trust_domain, Arc::<ManualClock>::clone(&clock)),
            clock,
            key: PrivateKey::generate().unwrap(),
        }
    }

    async fn ask(&self, token: &Token) -> Result<Issued, CaError> {
        let csr = CertificateRequest::pem(&self.key, &self.identity).unwrap();
        self.ca.issue(token, &csr, None).await
    }

    fn verify(&self, issued: Issued) -> Result<X509Svid, SvidError> {
        let expected = Expected { identity: &self.identity, public_key: self.key.public_key() };
        X509Svid::verify(issued.chain, expected, &issued.bundle, self.clock.now())
    }
}

#[tokio::test]
async fn an_honest_answer_verifies_and_a_forged_one_does_not() {
    let workload = Workload::new();
    let token = workload.ca.token("foo", "bar", HOUR);
    for forgery in Forgery::ALL {
        workload.ca.script(Answer::Forge(forgery));
        let fault = workload.verify(workload.ask(&token).await.unwrap()).unwrap_err();
        let as_meant = match forgery {
            Forgery::WrongKey => matches!(fault, SvidError::WrongKey),
            Forgery::WrongIdentity => matches!(fault, SvidError::WrongIdentity { .. }),
            Forgery::Expired => matches!(fault, SvidError::Expired),
            Forgery::UnknownRoot | Forgery::NoIntermediate => matches!(fault, SvidError::NotTrusted { .. }),
        };
        assert!(as_meant, "{forgery:?}: {fault}");
    }
    workload.ca.rotate_root();
    let issued = workload.ask(&token).await.unwrap();
    assert_eq!((issued.bundle.authorities().len(), issued.bundle.version().unwrap().sequence), (2, 2));
    workload.verify(issued).unwrap();
    assert_eq!(workload.ca.calls().len(), 6);
}

#[tokio::test]
async fn only_a_living_token_of_the_workload_itself_is_good_enough() {
    let workload = Workload::new();
    for (name, token) in [
        ("made up", Token::new("a.b.c").unwrap()),
        (
            "another CA's",
            FakeCa::new("td.test".parse().unwrap(), workload.clock.clone()).token("foo", "bar", HOUR),
        ),
    ] {
        assert!(matches!(workload.ask(&token).await, Err(CaError::TokenRefused(_))), "{name}");
    }
    let anothers = workload.ca.token("foo", "other", HOUR);
    assert!(matches!(workload.ask(&anothers).await, Err(CaError::Denied(_))));

    let token = workload.ca.token("foo", "bar", HOUR);
    assert_eq!(token.expires_at(), Some(workload.clock.now() + HOUR));
    workload.ask(&token).await.unwrap();
    workload.clock.advance(2 * HOUR);
    assert!(matches!(workload.ask(&token).await, Err(CaError::TokenRefused(_))));
}
