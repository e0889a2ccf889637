//! The suite on our own backends, and on backends that lie.

mod foreign;

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use foreign::{CHAIN_LIES, Foreign, LEAF_LIES, Lie};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, CaCertificate, PrivateKey, SigningKey, TrustDomain};
use tokio::time::Instant;

use super::*;
use crate::{
    Assembler, IssuerError, LocalSigner,
    test_support::{KEY_KINDS, key_pem},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn trust_domain() -> TrustDomain {
    TRUST_DOMAIN.parse().unwrap()
}

/// A root made by hand, so that it can sign what ours never would.
struct Root {
    params: CertificateParams,
    key: PrivateKey,
    certificate: CaCertificate,
}

impl Root {
    fn new() -> Self {
        let (key, params) = (PrivateKey::generate().unwrap(), ca_params("root", now() + 365 * DAY));
        let certificate = params.self_signed(&pair(&key)).unwrap().der().clone();
        Self { params, key, certificate: CaCertificate::from_der(certificate).unwrap() }
    }

    fn bundle(&self) -> TrustBundle {
        TrustBundle::new(trust_domain(), vec![self.certificate.der().clone()], None).unwrap()
    }

    fn certify(&self, params: &CertificateParams, key: &impl PublicKeyData) -> CertificateDer<'static> {
        let (params, issuer) = (params.clone(), rcgen::Issuer::from_params(&self.params, pair(&self.key)));
        params.signed_by(key, &issuer).unwrap().der().clone()
    }

    fn ends(&self) -> SystemTime {
        self.certificate.validity().not_after()
    }
}

fn pair(key: &PrivateKey) -> KeyPair {
    KeyPair::try_from(key.pkcs8_der()).unwrap()
}

fn ca_params(name: &str, not_after: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = ((now() - HOUR).into(), not_after.into());
    params
}

/// Leaves directly under the root.
fn under_a_root() -> Backend {
    let root = Root::new();
    let (bundle, signer_ends) = (root.bundle(), root.ends());
    let issuer =
        Assembler::new(Arc::new(LocalSigner::new(SigningKey::from(root.key))), root.certificate, Vec::new());
    Backend { issuer: Arc::new(issuer), bundle, clock: now, signer_ends, elsewhere: None }
}

/// Leaves under an intermediate, which ends before the root.
fn under_an_intermediate() -> Backend {
    let (root, key) = (Root::new(), PrivateKey::generate().unwrap());
    let intermediate = root.certify(&ca_params("intermediate", now() + DAY), &pair(&key));
    let certificate = CaCertificate::from_der(intermediate.clone()).unwrap();
    let signer_ends = certificate.validity().not_after();
    let issuer =
        Assembler::new(Arc::new(LocalSigner::new(SigningKey::from(key))), certificate, vec![intermediate]);
    Backend { issuer: Arc::new(issuer), bundle: root.bundle(), clock: now, signer_ends, elsewhere: None }
}

#[tokio::test]
async fn a_local_key_conforms_under_a_root_and_under_an_intermediate() {
    assert_eq!(failures("local, root", async || under_a_root()).await, []);
    assert_eq!(failures("local, intermediate", async || under_an_intermediate()).await, []);
}

#[tokio::test]
async fn a_backend_is_not_said_to_pass_what_cannot_happen_to_it() {
    let mut not_applicable = Vec::new();
    for (case, run) in CASES {
        if run(&under_a_root()).await.unwrap() == Held::NotApplicable {
            not_applicable.push(*case);
        }
    }
    assert_eq!(
        not_applicable,
        [
            "a call that nobody waits for any more harms no other",
            "while its authority is away, it says so in time, and that it will pass; then it signs",
        ]
    );
}

/// Leaves under a root of any kind of key.
fn under_a_root_of(key: &str) -> Backend {
    let root = ca_params("root", now() + 365 * DAY).self_signed(&KeyPair::from_pem(key).unwrap()).unwrap();
    let bundle = TrustBundle::new(trust_domain(), vec![root.der().clone()], None).unwrap();
    let certificate = CaCertificate::from_der(root.der().clone()).unwrap();
    let signer_ends = certificate.validity().not_after();
    let signer = LocalSigner::new(SigningKey::from_pem(key).unwrap());
    let issuer = Assembler::new(Arc::new(signer), certificate, Vec::new());
    Backend { issuer: Arc::new(issuer), bundle, clock: now, signer_ends, elsewhere: None }
}

#[tokio::test]
async fn a_local_key_of_every_kind_conforms() {
    for (kind, genpkey) in KEY_KINDS {
        let key = key_pem(genpkey);
        assert_eq!(failures(&format!("local, {kind}"), async || under_a_root_of(&key)).await, [], "{kind}");
    }
}

fn foreign(lie: Lie) -> Backend {
    let root = Root::new();
    let (bundle, signer_ends) = (root.bundle(), root.ends());
    Backend { issuer: Arc::new(Foreign { root, lie }), bundle, clock: now, signer_ends, elsewhere: None }
}

#[tokio::test]
async fn a_backend_that_assembles_by_itself_conforms_if_it_is_honest() {
    assert_eq!(failures("honest", async || foreign(Lie::None)).await, []);
}

/// Forgets what stands between leaf and root.
struct WithoutIntermediates(Arc<dyn Issuer>);

#[async_trait]
impl Issuer for WithoutIntermediates {
    async fn issue(
        &self,
        approved: &Approved,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        let mut chain = self.0.issue(approved, now, deadline).await?;
        chain.truncate(1);
        Ok(chain)
    }
}

#[tokio::test]
async fn a_backend_that_answers_wrongly_is_found_out() {
    let leaf_lies = LEAF_LIES.iter().map(|(lie, change, shows)| (lie, Lie::Leaf(*change), shows));
    let chain_lies = CHAIN_LIES.iter().map(|(lie, change, shows)| (lie, Lie::Chain(*change), shows));
    for (lie, told, shows) in
        leaf_lies.chain(chain_lies).chain([(&"another key", Lie::Key, &"for another key")])
    {
        let failures = failures(lie, async || foreign(told)).await;
        assert!(failures.iter().any(|failure| failure.reason.contains(shows)), "{lie}: {failures:#?}");
    }
}

#[tokio::test]
async fn a_chain_without_its_intermediate_is_found_out() {
    let incomplete = async || {
        let backend = under_an_intermediate();
        Backend { issuer: Arc::new(WithoutIntermediates(backend.issuer)), ..backend }
    };
    let failures = failures("without intermediates", incomplete).await;

    let silent_of_chains = 2;
    assert_eq!(failures.len(), CASES.len() - silent_of_chains, "{failures:#?}");
    assert!(
        failures.iter().all(|failure| failure.reason.contains("does not lead to a valid authority")),
        "{failures:#?}"
    );
}
