//! Tokens as a Kubernetes API server signs them: RS256, about 1.2 kB.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};

/// An issuer with an RSA-2048 key of its own.
pub(crate) struct RsaIssuer {
    key: RsaKeyPair,
    random: SystemRandom,
}

pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
pub(crate) const SUBJECT: &str = "system:serviceaccount:bench:workload";
/// The SPIFFE ID of that subject.
pub(crate) const WORKLOAD: &str = "spiffe://cluster.local/ns/bench/sa/workload";

impl RsaIssuer {
    pub(crate) fn new() -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let key = RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        Self { key, random: SystemRandom::new() }
    }

    pub(crate) fn public(&self) -> RsaPublicKeyComponents<Vec<u8>> {
        self.key.public().into()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).unwrap();
        signature
    }

    /// The key set the CA reads.
    pub(crate) fn jwks(&self) -> Value {
        let RsaPublicKeyComponents { n, e } = self.public();
        json!({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "bench",
            "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e)}]})
    }

    /// A token that no other call returns: its `jti` is `number`.
    pub(crate) fn token(&self, number: usize, now: u64) -> String {
        let header = json!({"alg": "RS256", "kid": "bench"});
        let claims = json!({
            "aud": ["istio-ca"], "exp": now + 3600, "iat": now, "nbf": now, "iss": ISSUER,
            "jti": format!("00000000-0000-4000-8000-{number:012}"), "sub": SUBJECT,
            "kubernetes.io": {
                "namespace": "bench",
                "node": {"name": "node-with-a-name-of-usual-length-1", "uid": "5f2d0f0e-2d7a-4d8e-9a55-1c2b3d4e5f60"},
                "pod": {"name": "workload-6d4b75cb6d-hwvfs", "uid": "8a2d3f4e-5b6c-4d7e-8f90-a1b2c3d4e5f6"},
                "serviceaccount": {"name": "workload", "uid": "1b2c3d4e-5f60-4718-92a3-b4c5d6e7f809"},
                "warnafter": now + 3607,
            },
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())))
    }
}
