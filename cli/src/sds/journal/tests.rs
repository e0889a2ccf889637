//! Pushes, right and wrong, as they are taken down.

use std::time::{Duration, SystemTime};

use signet_identity::testing::TestAuthority;
use signet_identity::{Clock, PrivateKey, SpiffeId, certificate_pem};
use signet_proto::envoy::config::core::v3::DataSource;
use signet_proto::envoy::config::core::v3::data_source::Specifier;
use signet_proto::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use signet_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate,
};
use signet_runtime::SystemClock;
use tokio::time::advance;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// An authority below a root, a workload's key, and an agent that serves both.
struct Agent {
    authority: TestAuthority,
    key: PrivateKey,
    identity: SpiffeId,
    now: SystemTime,
}

impl Agent {
    fn new() -> Self {
        let now = SystemClock.now();
        Self {
            authority: TestAuthority::new("td.test", now).intermediate(now),
            key: PrivateKey::generate().unwrap(),
            identity: "spiffe://td.test/ns/shop/sa/orders".parse().unwrap(),
            now,
        }
    }

    fn leaf(&self) -> signet_identity::testing::TestLeaf<'_> {
        self.authority.leaf(self.key.public_key(), &self.identity, self.now)
    }

    fn certificate(&self) -> PushedSecret {
        default(&pem(&self.leaf().sign()), &self.key.to_pkcs8_pem())
    }

    fn roots(&self) -> PushedSecret {
        roots(&pem(self.authority.bundle().authorities()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_told_by_what_is_new_and_when() {
    let (agent, mut journal) = (Agent::new(), Journal::default());
    let first = take(&mut journal, agent.certificate(), agent.now);
    assert!(first.change.told() == "first" && first.since_last.is_none(), "{first}");

    advance(Duration::from_secs(7)).await;
    let renewed = take(&mut journal, agent.certificate(), agent.now);
    assert_eq!(
        (renewed.change.told().as_str(), renewed.since_last),
        ("certificate", Some(Duration::from_secs(7)))
    );

    let rekeyed = Agent { key: PrivateKey::generate().unwrap(), ..agent };
    assert_eq!(take(&mut journal, rekeyed.certificate(), rekeyed.now).change.told(), "key, certificate");
    let moved = Agent { authority: TestAuthority::new("td.test", rekeyed.now), ..rekeyed };
    assert_eq!(
        take(&mut journal, moved.certificate(), moved.now).change.told(),
        "certificate, intermediates"
    );
}

#[test]
fn roots_are_told_by_who_came_and_who_went() {
    let (agent, mut journal) = (Agent::new(), Journal::default());
    let next = TestAuthority::new("td.test", agent.now);
    let (old, new) = (agent.authority.bundle(), next.bundle());
    let serial = |bundle: &signet_identity::TrustBundle| {
        CertificateSummary::of(&bundle.authorities()[0]).unwrap().serial().to_owned()
    };
    let both = [old.authorities(), new.authorities()].concat();
    for (roots_now, told) in [
        (old.authorities(), "first".to_owned()),
        (&both, format!("roots, + {}", serial(&new))),
        (&both, "nothing".to_owned()),
        (new.authorities(), format!("roots, - {}", serial(&old))),
    ] {
        assert_eq!(take(&mut journal, roots(&pem(roots_now)), agent.now).change.told(), told);
    }
}

#[test]
fn what_a_proxy_or_its_peers_would_not_take_is_named() {
    let agent = Agent::new();
    let key = agent.key.to_pkcs8_pem();
    let chain = agent.leaf().sign();
    let other = PrivateKey::generate().unwrap().to_pkcs8_pem();
    let backwards: Vec<_> = chain.iter().rev().cloned().collect();
    let valid = |from, to| pem(&agent.leaf().valid(from, to).sign());
    let (before, after) = (agent.now - HOUR, agent.now + HOUR);
    for (name, secret, concern) in [
        ("another key", default(&pem(&chain), &other), Some("the private key is not the leaf's")),
        ("no key", default(&pem(&chain), ""), Some("no private key")),
        ("a broken key", default(&pem(&chain), "-----BEGIN"), Some("private key cannot be read")),
        ("no chain", default("", &key), Some("without a certificate")),
        ("a broken chain", default("-----BEGIN CERTIFICATE-----\n!", &key), Some("PEM is broken")),
        ("the leaf last", default(&pem(&backwards), &key), Some("a CA's, where the leaf should be")),
        ("over", default(&valid(before, agent.now - HOUR / 2), &key), Some("has expired")),
        ("not begun", default(&valid(agent.now + HOUR / 2, after), &key), Some("not valid yet")),
        ("no intermediate", default(&pem(&chain[..1]), &key), Some("no intermediate?")),
        ("no name", default(&pem(&agent.leaf().uris(&[]).sign()), &key), Some("0 URI names")),
        ("no root", roots(""), Some("no root in it")),
        ("a leaf as root", roots(&pem(&chain[..1])), Some("no CA's certificate")),
        ("nothing", secret("default", None), Some("neither a certificate nor roots")),
        ("all well", default(&pem(&chain), &key), None),
    ] {
        let mut journal = Journal::default();
        take(&mut journal, agent.roots(), agent.now);
        let pushed = take(&mut journal, secret, agent.now);
        match concern {
            Some(concern) => {
                assert!(pushed.concerns.iter().any(|told| told.contains(concern)), "{name}: {pushed}")
            }
            None => assert!(!pushed.is_concerning(), "{name}: {pushed}"),
        }
    }
}

#[test]
fn private_keys_are_shown_to_nobody_who_has_not_asked() {
    let agent = Agent::new();
    for (keys, shown) in [(PrivateKeys::Hidden, false), (PrivateKeys::Shown, true)] {
        let pushed = Journal::default().take(vec![agent.certificate()], keys, agent.now).remove(0);
        let (text, json) = (pushed.to_string(), serde_json::to_string(&pushed).unwrap());
        assert_eq!(text.contains("PRIVATE KEY"), shown, "{text}");
        assert_eq!(json.contains("PRIVATE KEY"), shown, "{json}");
    }
}

fn take(journal: &mut Journal, secret: PushedSecret, now: SystemTime) -> Pushed {
    journal.take(vec![secret], PrivateKeys::Hidden, now).remove(0)
}

fn default(chain: &str, key: &str) -> PushedSecret {
    secret(
        "default",
        Some(Type::TlsCertificate(TlsCertificate {
            certificate_chain: inline(chain),
            private_key: inline(key),
        })),
    )
}

fn roots(pem: &str) -> PushedSecret {
    secret("ROOTCA", Some(Type::ValidationContext(CertificateValidationContext { trusted_ca: inline(pem) })))
}

fn secret(name: &str, content: Option<Type>) -> PushedSecret {
    let secret = Secret { name: name.to_owned(), r#type: content };
    PushedSecret { name: name.to_owned(), version: "1".to_owned(), secret }
}

fn inline(text: &str) -> Option<DataSource> {
    Some(DataSource { specifier: Some(Specifier::InlineString(text.to_owned())) })
}

fn pem(chain: &[rustls_pki_types::CertificateDer<'_>]) -> String {
    chain.iter().map(|certificate| certificate_pem(certificate)).collect()
}
