//! What is asked for: a CSR that was given, or one that is made.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use der::pem::{LineEnding, encode_string};
use signet_client::Token;
use signet_identity::{
    CertificateRequest, Csr, CsrError, MAX_CSR_PEM_BYTES, PrivateKey, PublicKey, SpiffeId, TrustDomain,
};

use crate::input::{self, Kind, Source};
use crate::outcome::Usage;

/// The CSR, or what to make it of.
#[derive(Debug, Args)]
pub(super) struct AskFlags {
    /// The CSR to send as it is: PEM, DER or base64 of either, in a file, `-` or https://... [default: one is made]
    #[arg(long, value_name = "INPUT", conflicts_with_all = ["key", "key_file"])]
    csr: Option<Source>,
    /// Private key for the CSR that is made, ECDSA P-256 in PKCS#8 PEM [default: a new one]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How long the certificate shall be valid, such as `90s` or `1h` [default: what the CA gives]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
}

/// What is asked for, and what the answer is compared with.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) csr_pem: String,
    /// `None`: the CSR does not say whom it is for, in a way that could be compared.
    pub(super) identity: Option<SpiffeId>,
    /// Of the CSR. An error: it cannot be read. A CA is asked all the same, for that is a way to test it.
    pub(super) public_key: Result<PublicKey, CsrError>,
    pub(super) lifetime: Option<Duration>,
    /// The key of a CSR that was made.
    pub(super) key: Option<PrivateKey>,
    /// Whether the key was made too, and is lost unless it is written.
    pub(super) is_key_new: bool,
}

impl AskFlags {
    /// Reads or makes the CSR.
    pub(super) fn ask(
        &self,
        identity: Option<&SpiffeId>,
        token: &Token,
        trust_domain: &TrustDomain,
    ) -> Result<Ask> {
        match &self.csr {
            Some(source) => self.given(csr_pem(source)?, identity),
            None => self.made(&identity.cloned().map_or_else(|| of_token(token, trust_domain), Ok)?),
        }
    }

    fn given(&self, csr_pem: String, identity: Option<&SpiffeId>) -> Result<Ask> {
        let csr = Csr::from_pem(&csr_pem);
        let named = csr.as_ref().ok().and_then(|csr| match csr.requested_uris() {
            [uri] => uri.parse().ok(),
            _ => None,
        });
        Ok(Ask {
            csr_pem,
            identity: identity.cloned().or(named),
            public_key: csr.map(|csr| csr.public_key().clone()),
            lifetime: self.lifetime,
            key: None,
            is_key_new: false,
        })
    }

    fn made(&self, identity: &SpiffeId) -> Result<Ask> {
        let key = match &self.key {
            Some(file) => PrivateKey::from_pkcs8_pem(&read(file)?)
                .with_context(|| format!("--key {} cannot be used", file.display()))?,
            None => PrivateKey::generate()?,
        };
        Ok(Ask {
            csr_pem: CertificateRequest::pem(&key, identity)?,
            identity: Some(identity.clone()),
            public_key: Ok(key.public_key().clone()),
            lifetime: self.lifetime,
            key: Some(key),
            is_key_new: self.key.is_none(),
        })
    }
}

/// Unverified: the CA is who decides.
fn of_token(token: &Token, trust_domain: &TrustDomain) -> Result<SpiffeId> {
    let claims = token.claims().ok();
    let identity = claims.and_then(|claims| claims.workload(trust_domain));
    identity.ok_or_else(|| {
        let text = "the token does not say which service account it is for: name the identity, as in \
                    `signet request spiffe://cluster.local/ns/shop/sa/orders`";
        Usage(text.to_owned()).into()
    })
}

/// Whatever stands in the CSR: a CA is asked with it, for that is a way to test it.
fn csr_pem(source: &Source) -> Result<String> {
    let requests = input::all(slice::from_ref(source), &Kind::Request)?;
    let [request] = &requests[..] else {
        return Err(
            Usage(format!("--csr {source} has {} CSRs, and a CA is asked with one", requests.len())).into()
        );
    };
    encode_string("CERTIFICATE REQUEST", LineEnding::LF, &request.der)
        .map_err(|fault| anyhow!("the CSR cannot be written as PEM: {fault}"))
}

fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let limit = MAX_CSR_PEM_BYTES as u64 + 1;
    let read = if file.as_os_str() == "-" {
        io::stdin().take(limit).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}
