//! How a process ends: gently at the first signal, at once at the second.

use std::io;

use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Runs `process` with a token that the first SIGTERM or SIGINT cancels: it should stop accepting, finish
/// what is in flight and return. A second signal drops it where it stands, and the answer is `None`.
///
/// # Errors
/// The operating system lets us handle no signals.
pub async fn on_signal<T, F>(process: impl FnOnce(CancellationToken) -> F) -> io::Result<Option<T>>
where
    F: Future<Output = T>,
{
    let mut signals = Signals::new()?;
    let stop = CancellationToken::new();
    let interrupted = async {
        let first = signals.next().await;
        tracing::info!(signal = first, "stopping: another signal ends the process at once");
        stop.cancel();
        signals.next().await
    };
    select! {
        ended = process(stop.clone()) => Ok(Some(ended)),
        second = interrupted => {
            tracing::warn!(signal = second, "stopped before everything was finished");
            Ok(None)
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
