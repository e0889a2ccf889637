//! Admission: how much is issued at once, decided before anything is computed for a request.
//!
//! A saturated CA answers at once instead of late, and refusing costs it little: two failed attempts at a
//! semaphore, and neither token nor CSR is looked at. A place is held for as long as the work goes on, not
//! the client: an issuance keeps it to its end, so that clients that leave and come back cannot pile
//! issuances up.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// How many requests may be under way, and how many may wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Requests between admission and answer, over all cores.
    pub in_flight: usize,
    /// Requests that wait for one of those places, in order of arrival. One more is refused.
    pub queue: usize,
}

/// The door of issuing. Cloned handles share one count.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    limits: AdmissionLimits,
}

/// A place among the requests under way, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the place away"]
pub struct Admitted {
    _place: OwnedSemaphorePermit,
}

/// All places and the queue are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{in_flight} requests are under way and {queued} wait, as many as `limits` allows")]
pub struct Overloaded {
    in_flight: usize,
    queued: usize,
}

impl Admission {
    /// An empty house.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.in_flight)),
            queue: Arc::new(Semaphore::new(limits.queue)),
            limits,
        }
    }

    /// A place at once, or after a wait in the queue. The wait has no deadline of its own: the request has.
    ///
    /// # Errors
    /// [`Overloaded`] without any wait when the queue is full too.
    pub async fn admit(&self) -> Result<Admitted, Overloaded> {
        if let Some(admitted) = self.admit_now() {
            return Ok(admitted);
        }
        let _waiting = self.queue.try_acquire().map_err(|_full| self.overloaded())?;
        // Neither semaphore is ever closed; if one were, refusing is the safe answer.
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_closed| self.overloaded())?;
        Ok(Admitted { _place: place })
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.limits.in_flight - self.places.available_permits()
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.limits.queue - self.queue.available_permits()
    }

    fn admit_now(&self) -> Option<Admitted> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Some(Admitted { _place: place }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    fn overloaded(&self) -> Overloaded {
        Overloaded { in_flight: self.limits.in_flight, queued: self.limits.queue }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admission(in_flight: usize, queue: usize) -> Admission {
        Admission::new(AdmissionLimits { in_flight, queue })
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_place_and_gets_it() {
        let admission = admission(1, 1);
        let first = admission.admit().await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(1), admission.admit());
        assert!(waiting.await.is_err(), "admitted beside the only place");

        let second = admission.admit();
        drop(first);

        assert!(second.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_more_than_the_queue_holds_is_refused_without_waiting() {
        let admission = admission(2, 1);
        let _under_way = (admission.admit().await.unwrap(), admission.admit().await.unwrap());
        let mut waiting = std::pin::pin!(admission.admit());
        assert!(poll_once(waiting.as_mut()).is_none());
        assert_eq!((admission.in_flight(), admission.queued()), (2, 1));

        let refused = admission.admit().await.unwrap_err();

        assert!(refused.to_string().starts_with("2 requests are under way and 1 wait"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gives_up_leaves_the_queue() {
        let admission = admission(1, 1);
        let _under_way = admission.admit().await.unwrap();
        drop(tokio::time::timeout(Duration::from_secs(1), admission.admit()).await);

        assert_eq!(admission.queued(), 0);
    }

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
