//! What Envoy says about a secret, and what is made of it.

use serde_json::json;
use signet_identity::testing::TestAuthority;
use signet_identity::{Clock, PrivateKey, SpiffeId, certificate_pem};
use signet_runtime::SystemClock;

use super::super::dump;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A certificate that was pushed, and what Envoy told of it.
struct Told {
    pem: String,
    serial: String,
    now: SystemTime,
}

impl Told {
    fn until(end: impl FnOnce(SystemTime) -> SystemTime) -> Self {
        let now = SystemClock.now();
        let authority = TestAuthority::new("td.test", now);
        let id: SpiffeId = "spiffe://td.test/ns/shop/sa/orders".parse().unwrap();
        let key = PrivateKey::generate().unwrap();
        let chain = authority.leaf(key.public_key(), &id, now).valid(now - 2 * HOUR, end(now)).sign();
        let serial = CertificateSummary::of(&chain[0]).unwrap().serial().to_owned();
        Self { pem: certificate_pem(&chain[0]), serial, now }
    }

    fn secret(&self, version: &str) -> serde_json::Value {
        json!({"name": "default", "version_info": version, "last_updated": "2026-11-28T06:17:13.373Z",
            "secret": {"tls_certificate": {"certificate_chain": {"inline_string": self.pem}}}})
    }

    fn answer(&self, active: &[serde_json::Value], served: &str, statistics: &str) -> Answer {
        let in_use = json!({"certificates": [{"cert_chain":
            [{"serial_number": served, "expiration_time": "2026-11-29T06:17:13Z"}]}]});
        let in_use = InUse::read(&in_use.to_string()).unwrap();
        let active = dump::read(&json!({"configs": active}).to_string()).unwrap();
        Answer::new(&active, &[], in_use, &Statistics::read(statistics), self.now)
    }
}

#[test]
fn a_secret_stands_as_the_three_pages_of_envoy_say_together() {
    let (valid, over) = (Told::until(|now| now + HOUR), Told::until(|now| now - HOUR));
    let accepted = "sds.default.version_text: \"v1\"\nsds.default.update_rejected: 0\n";
    let rejected = "sds.default.version_text: \"v1\"\nsds.default.update_rejected: 3\n";
    let of_delta = "sds.default.version_text: \"\"\nsds.default.update_rejected: 3\n";
    for (name, told, version, served, statistics, standing) in [
        ("in use", &valid, "v1", "", accepted, Standing::Served),
        ("rejected once, and well again", &valid, "v1", "", rejected, Standing::Served),
        ("rejected", &valid, "v2", "another", rejected, Standing::Rejected),
        ("rejected for its key, with the same certificate", &valid, "v2", "", rejected, Standing::Rejected),
        (
            "rejected, of a delta stream that has no version",
            &valid,
            "v2",
            "another",
            of_delta,
            Standing::Rejected,
        ),
        ("never used", &valid, "v1", "another", accepted, Standing::Unused),
        ("over", &over, "v1", "", accepted, Standing::Expired),
    ] {
        let served = if served.is_empty() { &told.serial } else { served };
        let answer = told.answer(&[told.secret(version)], served, statistics);
        assert_eq!(answer.secrets[0].standing, standing, "{name}: {answer}");
        assert_eq!(answer.held(), standing.is_good(), "{name}");
    }
}

#[test]
fn an_envoy_that_remembers_why_it_rejected_is_quoted() {
    let told = Told::until(|now| now + HOUR);
    let mut secret = told.secret("v1");
    secret["error_state"] = json!({"details": "KEY_VALUES_MISMATCH"});
    let answer = told.answer(&[secret], &told.serial, "");
    assert!(!answer.held() && answer.to_string().contains("KEY_VALUES_MISMATCH"), "{answer}");
}

#[test]
fn secrets_of_one_name_from_several_servers_are_not_held_to_one_version() {
    let told = Told::until(|now| now + HOUR);
    let statistics = "sds.default.version_text: \"v1\"\nsds.default.update_rejected: 1\n";
    let answer = told.answer(&[told.secret("v1"), told.secret("v2")], &told.serial, statistics);
    assert!(answer.held(), "{answer}");
}
