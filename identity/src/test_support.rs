//! What several tests of this crate need: the `openssl` command as an independent witness, and DER by hand.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::PrivateKey;
use crate::jwt::{self, DEVELOPMENT_ISSUER, DevelopmentIssuer, Jwks, TokenRules, VerifiedToken};

/// The time at which tests happen.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

/// A token of this subject and these `kubernetes.io` claims (or `null`), minted and verified.
pub(crate) fn verified_token(subject: &str, kubernetes: Value) -> VerifiedToken {
    let issuer = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), DEVELOPMENT_ISSUER.to_owned());
    let claims = json!({
        "iss": DEVELOPMENT_ISSUER, "sub": subject, "aud": "istio-ca", "nbf": 0, "exp": 4_000_000_000_u64,
        "kubernetes.io": kubernetes,
    });
    let rules = TokenRules {
        issuer: DEVELOPMENT_ISSUER.to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        leeway: Duration::ZERO,
    };
    let keys = Jwks::from_json(issuer.jwks_json().as_bytes()).unwrap();
    jwt::verify(&issuer.sign(&claims).unwrap(), &keys, &rules, now()).unwrap()
}

/// A directory of its own for the `openssl` command to work in, gone when dropped.
pub(crate) struct OpenSsl(tempfile::TempDir);

impl OpenSsl {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).unwrap()
    }

    /// Runs `openssl` with these arguments, separated by spaces; its output if it succeeds, its
    /// complaint if not.
    pub(crate) fn try_run(&self, arguments: &str) -> Result<String, String> {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&self.0)
            .output()
            .expect("openssl");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(crate) fn run(&self, arguments: &str) -> String {
        self.try_run(arguments).unwrap_or_else(|complaint| panic!("openssl {arguments}: {complaint}"))
    }

    /// The PKCS#8 of a new private key made by `openssl genpkey` with these arguments.
    pub(crate) fn private_key(arguments: &str) -> Vec<u8> {
        let openssl = Self::new();
        openssl.run(&format!("genpkey {arguments} -outform DER -out key.der"));
        openssl.run("pkcs8 -topk8 -nocrypt -inform DER -in key.der -outform DER -out key.pk8");
        openssl.read("key.pk8")
    }

    /// The SubjectPublicKeyInfo of a new key made by `openssl genpkey` with these arguments.
    pub(crate) fn public_key(arguments: &str) -> Vec<u8> {
        let openssl = Self::new();
        openssl.run(&format!("genpkey {arguments} -out key.pem"));
        openssl.run("pkey -in key.pem -pubout -outform DER -out spki.der");
        openssl.read("spki.der")
    }
}

/// One RSA-2048 key in PKCS#8, made once for all tests, for it takes long.
pub(crate) fn rsa_2048() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| OpenSsl::private_key("-algorithm RSA -pkeyopt rsa_keygen_bits:2048"))
}

/// A DER element of this tag around the given parts.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match content.len() {
        short @ 0..0x80 => vec![short as u8],
        middle @ 0x80..0x100 => vec![0x81, middle as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [&[tag], &length[..], &content].concat()
}
