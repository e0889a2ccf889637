//! Builders for tests, of this crate and of those above it: an authority with real keys, certificates that
//! are right or wrong in one chosen way, and callers that went the whole way from a token.
//!
//! There is no back door in it: an [`Approved`] comes from [`approve`] here too.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;

use crate::jwt::{self, DEVELOPMENT_ISSUER, DevelopmentIssuer, Jwks, Pod, TokenRequest, TokenRules};
use crate::x509::random_serial;
use crate::{
    Approved, Ask, CaCertificate, Caller, CertificateRequest, Csr, IssuingPolicy, KeyAlgorithm, LeafTemplate,
    PrivateKey, PublicKey, SignatureAlgorithm, SpiffeId, TrustBundle, TrustDomain, Validity, approve,
    ca_certificate,
};

/// An authority for tests: a root, or an intermediate under one.
#[derive(Debug)]
pub struct TestAuthority {
    trust_domain: TrustDomain,
    key: PrivateKey,
    params: CertificateParams,
    certificate: CaCertificate,
    /// From this authority up to the root, without the root.
    intermediates: Vec<CertificateDer<'static>>,
    root: CertificateDer<'static>,
}

impl TestAuthority {
    /// A new root of `trust_domain`, valid for ten years from `now`.
    pub fn new(trust_domain: &str, now: SystemTime) -> Self {
        let trust_domain: TrustDomain = trust_domain.parse().expect("a trust domain");
        let key = PrivateKey::generate().expect("a key");
        let params = ca_params(&key, &trust_domain, now);
        let root: CertificateDer<'static> = params.self_signed(&key).expect("a root").into();
        let certificate = CaCertificate::from_der(root.clone()).expect("a CA certificate");
        Self { trust_domain, key, params, certificate, intermediates: Vec::new(), root }
    }

    /// An authority under this one, valid for ten years from `now`.
    pub fn intermediate(&self, now: SystemTime) -> Self {
        self.intermediate_with(now, |_| {})
    }

    /// The same, changed in the one way that a test is about.
    pub fn intermediate_with(&self, now: SystemTime, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = PrivateKey::generate().expect("a key");
        let mut params = ca_params(&key, &self.trust_domain, now);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let der: CertificateDer<'static> =
            params.signed_by(&key, &self.issuer()).expect("an intermediate").into();
        let certificate = CaCertificate::from_der(der.clone()).expect("a CA certificate");
        let intermediates = [&[der], &self.intermediates[..]].concat();
        let (trust_domain, root) = (self.trust_domain.clone(), self.root.clone());
        Self { trust_domain, key, params, certificate, intermediates, root }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// The key it signs with.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// From its own certificate up to the root, without the root: empty for a root.
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    /// The bundle of its root, without a version.
    pub fn bundle(&self) -> TrustBundle {
        TrustBundle::new(self.trust_domain.clone(), vec![self.root.clone()], None).expect("a bundle")
    }

    /// The chain that the product's own template makes of an approval: leaf, then intermediates.
    pub fn issue(&self, approved: &Approved, now: SystemTime) -> Vec<CertificateDer<'static>> {
        let template = LeafTemplate::new(approved, &self.certificate, SignatureAlgorithm::EcdsaSha256, now)
            .expect("a template");
        let signature = self.key.sign(template.to_be_signed()).expect("a signature");
        let leaf = template.assemble(&signature).expect("a leaf");
        [&[leaf], &self.intermediates[..]].concat()
    }

    /// A leaf that is right in every way, from a minute before `now` to an hour after, until it is changed.
    pub fn leaf(&self, key: &PublicKey, identity: &SpiffeId, now: SystemTime) -> TestLeaf<'_> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&random_serial().expect("a serial")));
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        let leaf = TestLeaf { authority: self, key: key.clone(), params };
        leaf.uris(&[identity.as_str()]).valid(now - Duration::from_secs(60), now + Duration::from_secs(3600))
    }

    fn issuer(&self) -> Issuer<'_, &PrivateKey> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// A leaf about to be signed, to be made wrong in the one way that a test is about.
#[derive(Debug)]
pub struct TestLeaf<'a> {
    authority: &'a TestAuthority,
    key: PublicKey,
    params: CertificateParams,
}

impl TestLeaf<'_> {
    /// These URI SANs, and no other names.
    pub fn uris(self, uris: &[&str]) -> Self {
        let names = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII"))).collect();
        self.change(|params| params.subject_alt_names = names)
    }

    /// This validity, whatever the authority's own is.
    pub fn valid(self, not_before: SystemTime, not_after: SystemTime) -> Self {
        self.change(|params| {
            params.not_before = not_before.into();
            params.not_after = not_after.into();
        })
    }

    /// CA:TRUE.
    pub fn ca(self) -> Self {
        self.change(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))
    }

    /// Anything else.
    pub fn change(mut self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        change(&mut self.params);
        self
    }

    /// The leaf, then the intermediates of its authority.
    pub fn sign(self) -> Vec<CertificateDer<'static>> {
        let leaf = self.params.signed_by(&self.key, &self.authority.issuer()).expect("a leaf");
        [&[leaf.into()], &self.authority.intermediates[..]].concat()
    }
}

/// The caller that a token for this service account makes: minted, verified and read for real.
pub fn caller(trust_domain: &TrustDomain, namespace: &str, service_account: &str, now: SystemTime) -> Caller {
    let issuer =
        DevelopmentIssuer::new(PrivateKey::generate().expect("a key"), DEVELOPMENT_ISSUER.to_owned());
    let request = TokenRequest {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        lifetime: Duration::from_secs(3600),
        pod: Pod::default(),
    };
    let rules = TokenRules {
        issuer: DEVELOPMENT_ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        leeway: Duration::ZERO,
    };
    let keys = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("a JWKS");
    let token = issuer.mint(&request, now).expect("a token");
    let token = jwt::verify(&token, &keys, &rules, now).expect("a verified token");
    Caller::from_service_account(&token, trust_domain).expect("a caller")
}

/// Approval for a workload that asks for what is its own, with a new key.
pub fn approved(caller: &Caller, lifetime: Duration) -> (Approved, PrivateKey) {
    let key = PrivateKey::generate().expect("a key");
    let csr = CertificateRequest::pem(&key, caller.identity()).expect("a CSR");
    let csr = Csr::from_pem(&csr).expect("a proven CSR");
    let policy = IssuingPolicy::new(caller.identity().trust_domain().clone(), lifetime, lifetime);
    let approved = approve(caller, csr, Ask::default(), &policy.expect("a policy")).expect("approval");
    (approved, key)
}

const AUDIENCE: &str = "istio-ca";

fn ca_params(key: &PrivateKey, trust_domain: &TrustDomain, now: SystemTime) -> CertificateParams {
    let validity = Validity::new(now - Duration::from_secs(60), now + Duration::from_secs(10 * 365 * 86_400));
    ca_certificate::profile(key.public_key(), trust_domain, validity.expect("a validity")).expect("a profile")
}

/// To rcgen, which lays out the leaves of tests, a key is what goes into a certificate.
impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.key_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match PublicKey::algorithm(self) {
            KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
            KeyAlgorithm::Rsa => &rcgen::PKCS_RSA_SHA256,
        }
    }
}
