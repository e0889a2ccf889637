//! A process that has no file descriptor left, in a process of its own: the limit is the process'. That the
//! accept loop does not spin meanwhile is shown where the loop is.

#![cfg(test)]

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signet_runtime::{
    connection::Limits,
    cores::Cores,
    listener::{Capacity, Server},
};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

#[tokio::test(start_paused = true)]
async fn who_waits_while_there_are_no_file_descriptors_is_served_when_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let cores = Cores::start(1, "core").unwrap();
    let server = Server::new(Routes::default(), Limits::default(), Capacity::default(), cores.clone(), "t");
    let stop = CancellationToken::new();
    let mut client = UnixStream::connect(&path).await.unwrap();
    let before = without_file_descriptors();
    let mut accepting = JoinSet::new();
    let stopped = stop.clone();
    accepting.spawn(async move { server.serve_unix(listener, |_| Some(()), stopped).await });

    sleep(Duration::from_secs(1)).await;
    assert_eq!(cores.connections(), 0);

    setrlimit(Resource::Nofile, before).unwrap();
    client.write_all(b"PRI * HTTP/2.0").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cores.connections(), 1);

    // The core has a thread and a clock of its own.
    tokio::time::resume();
    stop.cancel();
    assert_eq!(cores.drain(Duration::from_secs(60)).await, 0);
}

/// Lets this process open no more, and says what it was allowed.
fn without_file_descriptors() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: before.maximum }).unwrap();
    before
}
