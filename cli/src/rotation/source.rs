//! The pushes of an agent, over as many streams as it takes.

use std::time::Duration;

use anyhow::{Context, Result};
use signet_client::sds::Push;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::sds::{Stream, Subscription};

/// A task that reads pushes, so that nobody who waits for something else besides interrupts it in opening a stream.
/// Dropping this ends it.
pub(super) struct Source {
    pushes: mpsc::Receiver<Push>,
    _reader: JoinSet<()>,
}

impl Source {
    /// Goes on with a stream that is open.
    pub(super) fn new(subscription: Subscription, stream: Stream) -> Self {
        let (sender, pushes) = mpsc::channel(WAITING);
        let mut reader = JoinSet::new();
        reader.spawn(read(subscription, stream, sender));
        Self { pushes, _reader: reader }
    }

    /// The next push. May be dropped at any point.
    pub(super) async fn next(&mut self) -> Result<Push> {
        self.pushes
            .recv()
            .await
            .context("the reader of pushes ended, which it never should: please report this")
    }
}

/// A stream that ends is opened anew, as a proxy does.
async fn read(subscription: Subscription, stream: Stream, pushes: mpsc::Sender<Push>) {
    let mut stream = Some(stream);
    loop {
        match &mut stream {
            Some(open) => match open.next().await {
                Ok(Some(push)) => {
                    if pushes.send(push).await.is_err() {
                        return;
                    }
                }
                Ok(None) | Err(_) => stream = None,
            },
            None => {
                sleep(REOPEN).await;
                stream = subscription.open().await.ok();
            }
        }
    }
}

const REOPEN: Duration = Duration::from_millis(500);
/// Pushes that nobody has looked at yet.
const WAITING: usize = 4;
