//! The limit: the cryptography of one issuance and nothing else, on one core, by thread CPU time.

use std::time::Duration;

use ring::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, KeyPair, RsaPublicKeyComponents, UnparsedPublicKey},
};
use rustix::time::{ClockId, clock_gettime};

use crate::rsa_issuer::RsaIssuer;

/// The three operations that no CA can leave out: the token's RSA-2048 signature verified, the CSR's P-256
/// signature verified, the leaf signed with P-256.
pub(crate) struct Limit {
    token: (RsaPublicKeyComponents<Vec<u8>>, Vec<u8>, Vec<u8>),
    csr: (Vec<u8>, Vec<u8>),
    signer: EcdsaKeyPair,
    random: SystemRandom,
}

/// Of the size of a CSR's and a leaf's signed bytes.
const SIGNED_BYTES: [u8; 500] = [7; 500];

impl Limit {
    pub(crate) fn new(issuer: &RsaIssuer) -> Self {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let signer = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let proof = signer.sign(&random, &SIGNED_BYTES).unwrap().as_ref().to_vec();
        let message = vec![7; 1200];
        let token = (issuer.public(), issuer.sign(&message), message);
        Self { token, csr: (signer.public_key().as_ref().to_vec(), proof), signer, random }
    }

    /// CPU time of one issuance's cryptography: the mean over about 100 ms of them.
    pub(crate) fn measure(&self) -> Duration {
        const ROUNDS: u32 = 1_000;
        let start = thread_cpu();
        for _ in 0..ROUNDS {
            self.once();
        }
        (thread_cpu() - start) / ROUNDS
    }

    fn once(&self) {
        let (key, proof, message) = &self.token;
        key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, proof).unwrap();
        let (point, proof) = &self.csr;
        UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point)
            .verify(&SIGNED_BYTES, proof)
            .unwrap();
        self.signer.sign(&self.random, &SIGNED_BYTES).unwrap();
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
