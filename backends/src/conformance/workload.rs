//! The workload that the cases ask certificates for, approved as in production.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, KeyPair, KeyUsagePurpose};
use signet_identity::{
    Approved, Ask, Caller, CertificateRequest, Csr, IssuingPolicy, Pod, PrivateKey, SpiffeId, TrustDomain,
    approve,
    jwt::{DevelopmentIssuer, Jwks, TokenRequest, TokenRules, verify},
};

use super::TRUST_DOMAIN;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// An extension that nobody knows: its enterprise number is nobody's, and the largest that Go can read.
pub(super) const UNKNOWN_EXTENSION: [u64; 8] = [1, 3, 6, 1, 4, 1, 2_147_483_647, 1];

/// A plain request: one URI, nothing else.
pub(super) fn approved(lifetime: Duration, now: SystemTime) -> Result<Approved, Error> {
    let csr = CertificateRequest::pem(&PrivateKey::generate()?, &identity()?)?;
    decide(Csr::from_pem(&csr)?, lifetime, now)
}

/// A request whose CSR asks for a CA certificate, a subject, and an extension that nobody knows.
pub(super) fn approved_though_greedy(lifetime: Duration, now: SystemTime) -> Result<Approved, Error> {
    let key = KeyPair::try_from(PrivateKey::generate()?.pkcs8_der())?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(identity()?.as_str().try_into()?)];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "admin.example.org");
    params.custom_extensions = vec![CustomExtension::from_oid_content(&UNKNOWN_EXTENSION, vec![5, 0])];
    let csr = params.serialize_request(&key)?;
    decide(Csr::from_der(csr.der())?, lifetime, now)
}

pub(super) fn identity() -> Result<SpiffeId, Error> {
    Ok(SpiffeId::workload(&trust_domain()?, "shop", "cart")?)
}

fn trust_domain() -> Result<TrustDomain, Error> {
    Ok(TRUST_DOMAIN.parse()?)
}

fn decide(csr: Csr, lifetime: Duration, now: SystemTime) -> Result<Approved, Error> {
    let policy = IssuingPolicy::new(trust_domain()?, lifetime, lifetime)?;
    Ok(approve(&caller(now)?, csr, Ask::default(), &policy)?)
}

fn caller(now: SystemTime) -> Result<Caller, Error> {
    let (issuer, audiences) = ("https://issuer.example".to_owned(), vec!["istio-ca".to_owned()]);
    let development = DevelopmentIssuer::new(PrivateKey::generate()?, issuer.clone());
    let request = TokenRequest {
        namespace: "shop".to_owned(),
        service_account: "cart".to_owned(),
        audiences: audiences.clone(),
        lifetime: Duration::from_secs(60),
        pod: Pod::default(),
    };
    let token = development.mint(&request, now)?;
    let keys = Jwks::from_json(development.jwks_json().as_bytes())?;
    let token = verify(&token, &keys, &TokenRules { issuer, audiences, leeway: Duration::ZERO }, now)?;
    Ok(Caller::from_service_account(&token, &trust_domain()?)?)
}
