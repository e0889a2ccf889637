//! The end of a process, in one of its own: signals reach all tests of a process.

#![cfg(test)]

use std::{future, time::Duration};

use rustix::process::{Signal, getpid, kill_process};
use signet_runtime::shutdown::on_signal;
use tokio::time::timeout;

#[tokio::test]
async fn the_first_signal_asks_the_process_to_stop_and_a_second_ends_it_at_once() {
    for first in [Signal::TERM, Signal::INT] {
        let ended = within_a_minute(on_signal(|stop| async move {
            kill_process(getpid(), first).unwrap();
            stop.cancelled().await;
            "finished"
        }));
        assert_eq!(ended.await, Some("finished"), "{first:?}");

        let hangs = within_a_minute(on_signal(|stop| async move {
            kill_process(getpid(), first).unwrap();
            stop.cancelled().await;
            kill_process(getpid(), Signal::TERM).unwrap();
            future::pending::<&str>().await
        }));
        assert_eq!(hangs.await, None, "{first:?}");
    }

    let undisturbed = within_a_minute(on_signal(|_| future::ready("done")));
    assert_eq!(undisturbed.await, Some("done"));
}

async fn within_a_minute<T>(run: impl Future<Output = std::io::Result<Option<T>>>) -> Option<T> {
    timeout(Duration::from_secs(60), run).await.expect("it hangs").unwrap()
}
