//! Who signs at Vault, and under which roots: read without a token.

use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_identity::{CaCertificate, verify_link};
use tokio::time::Instant;
use vaultrs::api::pki::{requests::ReadIssuerCertificateRequest, responses::ReadIssuerCertificateResponse};

use super::{PkiConfig, VaultClient, VaultError, files::read_text, request::Request};

/// An issuer of Vault's PKI, with what stands above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerChain {
    /// Vault's id of it, for asking this one and no other.
    pub issuer_id: String,
    /// What its leaves name as their issuer.
    pub certificate: CaCertificate,
    /// From its certificate up to the root, without the root: empty if it is one.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// Self-signed, or pinned: what proxies must hold.
    pub roots: Vec<CertificateDer<'static>>,
}

/// Whom Vault is asked to sign by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerPath {
    /// The role's.
    OfTheRole,
    /// This one.
    Issuer(String),
}

impl IssuerChain {
    /// Reads the issuer that is configured, or the mount's default.
    ///
    /// # Errors
    /// It cannot be had, or no leaf under it would be trusted.
    pub async fn read(client: &VaultClient, deadline: Instant) -> Result<Self, VaultError> {
        let pki = &client.config().pki;
        let issuer = pki.issuer_name().to_owned();
        let request = Request::of(&ReadIssuerCertificateRequest { mount: pki.mount.clone(), issuer })?;
        let path = request.path.clone();
        let read: ReadIssuerCertificateResponse =
            client.ask(&request, None, deadline).await?.required(&path)?;
        Self::of(&read, pki).map_err(|reason| VaultError::Nonsense { path, reason })
    }

    /// How this issuer is asked to sign. One that is named in the configuration by its id, so that it can go
    /// on signing when another has its name. A role's issuer is Vault's choice.
    pub fn path(&self, pki: &PkiConfig) -> IssuerPath {
        match &pki.issuer {
            Some(_) => IssuerPath::Issuer(self.issuer_id.clone()),
            None => IssuerPath::OfTheRole,
        }
    }

    fn of(read: &ReadIssuerCertificateResponse, pki: &PkiConfig) -> Result<Self, String> {
        let certificate = only(&read.certificate)?;
        let above = each(&read.ca_chain)?;
        let (intermediates, roots) = split(&certificate, above)?;
        let roots = match &pki.roots_file {
            Some(path) => pinned(&read_text(path).map_err(|error| error.to_string())?)?,
            None if roots.is_empty() => {
                return Err(
                    "its chain has no root; set `vault.roots_file` to what proxies are to trust".to_owned()
                );
            }
            None => roots,
        };
        let certificate = CaCertificate::from_der(certificate).map_err(|error| error.to_string())?;
        Ok(Self { issuer_id: read.issuer_id.clone(), certificate, intermediates, roots })
    }
}

/// From `certificate` upwards, in order: what is not self-signed, and what is. Certificates that are no part
/// of its path (Vault may know several) are left out of the first.
pub(super) fn split(
    certificate: &CertificateDer<'static>,
    above: Vec<CertificateDer<'static>>,
) -> Result<(Vec<CertificateDer<'static>>, Vec<CertificateDer<'static>>), String> {
    if above.len() > MAX_ISSUERS {
        return Err(format!("its chain has more than {MAX_ISSUERS} certificates"));
    }
    let (roots, mut between): (Vec<_>, Vec<_>) = above.into_iter().partition(|one| is_root(one));
    if is_root(certificate) {
        let mut all = roots;
        if !all.contains(certificate) {
            all.insert(0, certificate.clone());
        }
        return Ok((Vec::new(), all));
    }
    // Each is taken once: two authorities may have signed each other.
    between.retain(|one| one != certificate);
    let mut path = vec![certificate.clone()];
    while let Some(last) = path.last()
        && let Some(next) = between.iter().position(|one| verify_link(last, one).is_ok())
    {
        path.push(between.swap_remove(next));
    }
    Ok((path, roots))
}

/// The one certificate of a PEM text.
pub(super) fn only(pem: &str) -> Result<CertificateDer<'static>, String> {
    let mut all = CertificateDer::pem_slice_iter(pem.as_bytes());
    match (all.next(), all.next()) {
        (Some(Ok(one)), None) => Ok(one),
        _ => Err("where a certificate should be, it has something else".to_owned()),
    }
}

/// The one certificate of each PEM text.
pub(super) fn each(pems: &[String]) -> Result<Vec<CertificateDer<'static>>, String> {
    pems.iter().map(|pem| only(pem)).collect()
}

fn pinned(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let roots = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    roots
        .ok()
        .filter(|roots| !roots.is_empty())
        .ok_or_else(|| "`vault.roots_file` holds no certificate in PEM".to_owned())
}

/// Signed by itself. What cannot be read is none, and is refused where it is used.
pub(super) fn is_root(certificate: &CertificateDer<'_>) -> bool {
    verify_link(certificate, certificate).is_ok()
}

/// More than any PKI has above a leaf, cross-signs included.
const MAX_ISSUERS: usize = 16;

#[cfg(test)]
mod tests;
