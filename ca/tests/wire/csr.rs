//! CSRs as no honest client makes them.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

pub(crate) const WEB: &str = "spiffe://cluster.local/ns/default/sa/web";

/// A CSR with these URIs and a fresh P-256 key.
pub(crate) fn with_uris(uris: &[&str]) -> String {
    with(|params| params.subject_alt_names = uris.iter().map(|uri| san(uri)).collect())
}

/// A CSR for `web`, changed by the case.
pub(crate) fn with(change: impl FnOnce(&mut CertificateParams)) -> String {
    with_key(&KeyPair::generate().unwrap(), change)
}

pub(crate) fn with_key(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![san(WEB)];
    change(&mut params);
    params.serialize_request(key).unwrap().pem().unwrap()
}

pub(crate) fn san(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// Asks to become a CA, for code signing, and under a name of its own choice.
pub(crate) fn for_a_ca() -> String {
    with(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.distinguished_name.push(DnType::CommonName, "root");
    })
}

/// What openssl makes of `genpkey` and `req` with these arguments, for `web`.
pub(crate) fn by_openssl(genpkey: &[&str], req: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    openssl(&[&["genpkey", "-out", path(&key)], genpkey].concat());
    let san = format!("subjectAltName=critical,URI:{WEB}");
    openssl(&[&["req", "-new", "-subj", "/", "-key", path(&key), "-addext", &san], req].concat())
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("the tests need the openssl command");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The bytes in a PEM block.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};
    CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

/// A PEM block around those bytes.
pub(crate) fn pem(der: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n"))
}

/// The CSR with the first (or last) place of some bytes replaced.
pub(crate) fn patched(csr: &str, from: &[u8], to: &[u8], place: Place) -> String {
    let mut der = der(csr);
    let mut places =
        der.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at);
    let at = match place {
        Place::First => places.next(),
        Place::Last => places.next_back(),
    };
    let at = at.expect("the bytes to replace");
    der[at..at + from.len()].copy_from_slice(to);
    pem(&der)
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    First,
    Last,
}
