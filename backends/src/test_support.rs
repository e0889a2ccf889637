//! What several tests of this crate need: keys of every kind, made by the `openssl` command.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use signet_identity::SigningKey;

/// Every kind of key that may sign, by the arguments of `openssl genpkey`.
pub(crate) const KEY_KINDS: [(&str, &str); 5] = [
    ("P-256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
    ("P-384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
    ("Ed25519", "-algorithm ED25519"),
    ("RSA-2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("RSA-4096", "-algorithm RSA -pkeyopt rsa_keygen_bits:4096"),
];

/// A new private key in PEM.
pub(crate) fn key_pem(genpkey: &str) -> String {
    openssl(&format!("genpkey {genpkey}"), "")
}

/// A new private key of the process' own.
pub(crate) fn signing_key(genpkey: &str) -> SigningKey {
    SigningKey::from_pem(&key_pem(genpkey)).unwrap()
}

/// What `openssl` writes when it is given these arguments, separated by spaces, and this text.
pub(crate) fn openssl(arguments: &str, input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}
