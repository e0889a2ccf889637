//! The limit: the cryptography of one issuance and nothing else, on one core, by thread CPU time.

use std::time::Duration;

use ring::{
    agreement::{EphemeralPrivateKey, UnparsedPublicKey as PeerKey, X25519, agree_ephemeral},
    rand::SystemRandom,
    signature::{
        self, EcdsaKeyPair, KeyPair, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use rustix::time::{ClockId, clock_gettime};

use crate::rsa_issuer::RsaIssuer;

/// What no CA can leave out. All of it is measured with ring, which is what the CA computes with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// The token's RSA-2048 signature is verified.
    Token,
    /// The CSR's P-256 signature is verified.
    Csr,
    /// The CSR's RSA-2048 signature is verified.
    RsaCsr,
    /// The leaf is signed with P-256.
    Leaf,
    /// The server's part of a TLS 1.3 handshake: a key of X25519 made and agreed with, CertificateVerify signed.
    Handshake,
}

/// Inputs for each of them.
pub(crate) struct Limit {
    rsa: (RsaPublicKeyComponents<Vec<u8>>, Vec<u8>, Vec<u8>),
    csr: (Vec<u8>, Vec<u8>),
    peer: Vec<u8>,
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
        let peer = EphemeralPrivateKey::generate(&X25519, &random).unwrap().compute_public_key().unwrap();
        Self {
            rsa: (issuer.public(), issuer.sign(&message), message),
            csr: (signer.public_key().as_ref().to_vec(), proof),
            peer: peer.as_ref().to_vec(),
            signer,
            random,
        }
    }

    /// CPU time of these operations: the mean over about 50 ms of them.
    pub(crate) fn measure(&self, operations: &[Operation]) -> Duration {
        const ROUNDS: u32 = 500;
        let start = thread_cpu();
        for _ in 0..ROUNDS {
            operations.iter().for_each(|operation| self.once(*operation));
        }
        (thread_cpu() - start) / ROUNDS
    }

    fn once(&self, operation: Operation) {
        match operation {
            Operation::Token | Operation::RsaCsr => {
                let (key, proof, message) = &self.rsa;
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, proof).unwrap();
            }
            Operation::Csr => {
                let (point, proof) = &self.csr;
                let algorithm: &dyn VerificationAlgorithm = &signature::ECDSA_P256_SHA256_ASN1;
                UnparsedPublicKey::new(algorithm, point).verify(&SIGNED_BYTES, proof).unwrap();
            }
            Operation::Leaf => self.sign(),
            Operation::Handshake => {
                let key = EphemeralPrivateKey::generate(&X25519, &self.random).unwrap();
                std::hint::black_box(key.compute_public_key().unwrap());
                let peer = PeerKey::new(&X25519, &self.peer);
                agree_ephemeral(key, &peer, |secret| drop(std::hint::black_box(secret.to_vec()))).unwrap();
                self.sign();
            }
        }
    }

    fn sign(&self) {
        std::hint::black_box(self.signer.sign(&self.random, &SIGNED_BYTES).unwrap());
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
