//! A key in this process.

use std::sync::Arc;

use async_trait::async_trait;
use signet_identity::{SignatureAlgorithm, SigningKey};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{SignError, Signer};

/// Signs with a key held in memory.
///
/// With ECDSA and Ed25519 inline, on the thread that asks: a signature takes 17 µs (P-384: 150), and handing it to
/// another thread would cost as much. RSA takes up to some milliseconds, for which no serving core may stand still:
/// it goes to threads of its own, at most [`POOLED`] at once, and the rest waits its turn.
#[derive(Debug)]
pub struct LocalSigner {
    key: Arc<SigningKey>,
    pool: Arc<Semaphore>,
}

impl LocalSigner {
    /// Signs by `key`.
    pub fn new(key: impl Into<Arc<SigningKey>>) -> Self {
        Self { key: key.into(), pool: Arc::new(Semaphore::new(POOLED)) }
    }
}

#[async_trait]
impl Signer for LocalSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, to_be_signed: &[u8]) -> Result<Vec<u8>, SignError> {
        if !self.key.is_slow() {
            return Ok(self.key.sign(to_be_signed)?);
        }
        let stopping = || SignError::Unavailable { reason: "the process is stopping".to_owned() };
        let turn = Arc::clone(&self.pool).acquire_owned().await.map_err(|_closed| stopping())?;
        let (key, message) = (Arc::clone(&self.key), to_be_signed.to_vec());
        let signing = spawn_blocking(move || {
            let _until_it_is_signed = turn;
            key.sign(&message)
        });
        Ok(signing.await.map_err(|_stopped| stopping())??)
    }
}

/// As many as a machine of the usual size has cores: more at once would only make each of them slower.
const POOLED: usize = 4;
