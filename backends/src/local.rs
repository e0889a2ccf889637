//! A key in this process.

use std::sync::Arc;

use async_trait::async_trait;
use signet_identity::{SignatureAlgorithm, SigningKey};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{SignError, Signer};

/// Signs with a key held in memory.
///
/// With ECDSA and Ed25519 inline, on the thread that asks: a signature takes 17 µs (P-384: 150), and handing
/// it to another thread would cost as much. RSA takes up to some milliseconds, for which no serving core may
/// stand still: it goes to threads of its own, at most four at once, and the rest waits its turn.
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

#[cfg(test)]
mod tests {
    use std::{task::Poll, time::Duration};

    use futures_util::{future::join_all, poll};
    use signet_identity::PrivateKey;
    use tokio::{runtime::Builder, sync::oneshot, time::timeout};

    use super::*;
    use crate::test_support::{KEY_KINDS, signing_key};

    /// Runs a test while the only thread for what blocks is occupied, until it is told to go on.
    fn while_threads_are_occupied(test: impl AsyncFnOnce(oneshot::Sender<()>)) {
        let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (go_on, gate) = oneshot::channel();
            drop(spawn_blocking(move || gate.blocking_recv()));
            test(go_on).await;
        });
    }

    #[test]
    fn a_fast_signature_is_made_where_it_is_asked_for_and_a_slow_one_elsewhere() {
        for (kind, genpkey) in KEY_KINDS {
            while_threads_are_occupied(async |go_on| {
                let key = Arc::new(signing_key(genpkey));
                let signer = LocalSigner::new(Arc::clone(&key));

                let mut signing = signer.sign(b"to be signed");
                let first = poll!(&mut signing);

                assert_eq!(first.is_ready(), !kind.starts_with("RSA"), "{kind}");
                go_on.send(()).unwrap();
                let signature = match first {
                    Poll::Ready(signature) => signature.unwrap(),
                    Poll::Pending => signing.await.unwrap(),
                };
                let verified = key.public_key().verify(signer.algorithm(), b"to be signed", &signature);
                assert_eq!(verified, Ok(()), "{kind}");
            });
        }
    }

    #[tokio::test]
    async fn no_more_slow_signatures_are_made_at_once_than_there_are_places() {
        let signer = LocalSigner::new(signing_key(KEY_KINDS[3].1));
        let places = Arc::clone(&signer.pool);
        assert_eq!(places.available_permits(), POOLED);
        let taken = Arc::clone(&places).acquire_many_owned(u32::try_from(POOLED).unwrap()).await.unwrap();

        let waiting = timeout(Duration::from_millis(50), signer.sign(b"to be signed")).await;
        assert!(waiting.is_err(), "it was signed without a place");

        drop(taken);
        let signatures = join_all((0..8 * POOLED).map(|_| signer.sign(b"to be signed"))).await;
        assert!(signatures.iter().all(Result::is_ok));
        assert_eq!(places.available_permits(), POOLED, "each place is given back");
    }

    #[test]
    fn a_request_that_is_given_up_keeps_its_place_until_its_signature_is_made() {
        while_threads_are_occupied(async |go_on| {
            let signer = LocalSigner::new(signing_key(KEY_KINDS[3].1));
            let mut signing = signer.sign(b"to be signed");
            assert!(poll!(&mut signing).is_pending());

            drop(signing);

            assert_eq!(signer.pool.available_permits(), POOLED - 1);
            go_on.send(()).unwrap();
            let all = Arc::clone(&signer.pool).acquire_many_owned(u32::try_from(POOLED).unwrap());
            assert!(timeout(Duration::from_secs(10), all).await.is_ok(), "the place is not given back");
        });
    }

    #[tokio::test]
    async fn a_workloads_key_signs_for_an_authority() {
        let key = PrivateKey::generate().unwrap();
        let public = key.public_key().clone();
        let signer = LocalSigner::new(SigningKey::from(key));

        let signature = signer.sign(b"to be signed").await.unwrap();

        assert_eq!(public.verify(signer.algorithm(), b"to be signed", &signature), Ok(()));
    }
}
