//! The accept loop: it ends when told to, and outlives whatever accepting does.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

/// Gives each accepted connection to `take` until `stop` is cancelled.
///
/// An error of the connection that was accepted is passed over. Any other (no more file descriptors, no
/// memory) would come back at once, for ever: the loop pauses after it, and tells when such a time begins and
/// ends.
pub(crate) async fn accept_until<C>(
    stop: &CancellationToken,
    mut poll_accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<C>>,
    mut take: impl FnMut(C),
) {
    let mut failing = false;
    loop {
        let accepted = select! {
            biased;
            () = stop.cancelled() => return,
            accepted = poll_fn(&mut poll_accept) => accepted,
        };
        match accepted {
            Ok(connection) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("accepting connections again");
                }
                take(connection);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept: raise the limit of open files, or lower `max_connections`");
                }
                select! {
                    () = sleep(PAUSE) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// Linux reports pending network errors of the new connection by accept(2).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
    )
}

/// Long enough to cost nothing, short enough that nobody who waits gives up.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::VecDeque};

    use rustix::io::Errno;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_error_of_one_connection_does_not_delay_the_next() {
        let (taken, elapsed) = accept([Err(Errno::CONNABORTED), Err(Errno::CONNRESET), Ok(1), Ok(2)]).await;

        assert_eq!((taken, elapsed), (vec![1, 2], Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_would_return_at_once_is_waited_out() {
        let (taken, elapsed) =
            accept([Err(Errno::MFILE), Err(Errno::NFILE), Err(Errno::NOBUFS), Ok(1)]).await;

        assert_eq!(taken, [1]);
        assert_eq!(elapsed.as_millis(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_loop_even_while_it_pauses() {
        let stop = CancellationToken::new();
        let (polls, start) = (Cell::new(0), Instant::now());
        let failing = |_: &mut Context<'_>| {
            polls.set(polls.get() + 1);
            Poll::Ready(Err::<(), _>(Errno::MFILE.into()))
        };

        tokio::join!(accept_until(&stop, failing, |()| {}), async {
            sleep(Duration::from_millis(950)).await;
            stop.cancel();
        });

        assert_eq!(start.elapsed().as_millis(), 950);
        assert_eq!(polls.get(), 10, "no spinning");
    }

    /// What was taken of those results, and how long it took.
    async fn accept<const N: usize>(results: [Result<u8, Errno>; N]) -> (Vec<u8>, Duration) {
        let (stop, start) = (CancellationToken::new(), Instant::now());
        let (mut results, mut taken) = (VecDeque::from(results), Vec::new());
        let poll_accept = |_: &mut Context<'_>| match results.pop_front() {
            Some(result) => Poll::Ready(result.map_err(io::Error::from)),
            None => {
                stop.cancel();
                Poll::Pending
            }
        };
        accept_until(&stop, poll_accept, |connection| taken.push(connection)).await;
        (taken, start.elapsed())
    }
}
