//! What an orchestrator, a scraper and a stranger get from the operations port.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::Instant,
};

use super::*;

#[tokio::test]
async fn a_scraper_gets_our_metrics_and_those_of_the_process() {
    let port = Port::open().await;

    let answer = port.get("/metrics").await;

    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\nt_issued_total 1\n"), "{answer}");
    assert!(answer.contains("\nprocess_cpu_seconds_total "), "{answer}");
}

#[tokio::test]
async fn a_process_is_alive_before_it_is_ready() {
    let port = Port::open().await;
    assert!(port.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"));

    let answer = port.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.ends_with("t: not ready\nauthority: starting\n"), "{answer}");

    port.authority.ready();
    let answer = port.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("t: ready\nauthority: ready\n"), "{answer}");
}

#[tokio::test]
async fn a_person_is_shown_the_state_and_where_to_go() {
    let answer = Port::open().await.get("/").await;

    assert!(
        answer.contains("t: not ready\nauthority: starting\n") && answer.contains("/metrics"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_not_there_and_what_would_change_something_is_refused() {
    let port = Port::open().await;

    assert!(port.get("/debug").await.starts_with("HTTP/1.1 404 "));
    assert!(port.send("POST /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_or_says_it_slowly_is_left_after_five_seconds() {
    for slowly in [false, true] {
        let port = Port::open().await;
        let (mut reading, mut writing) = TcpStream::connect(port.address).await.unwrap().into_split();
        let start = Instant::now();
        let mut writer = JoinSet::new();
        writer.spawn(async move {
            while slowly && writing.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            std::future::pending::<()>().await
        });

        drop(reading.read_to_end(&mut Vec::new()).await);

        // The kernel may take a moment to hand over the end, and paused time does not wait for it.
        assert!((5..10).contains(&start.elapsed().as_secs()), "slowly: {slowly}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_again_and_again_is_left_after_a_minute() {
    let port = Port::open().await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    let start = Instant::now();

    let mut answer = [0; 4096];
    while stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok()
        && matches!(stream.read(&mut answer).await, Ok(1..))
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_head_over_eight_kibibytes_is_refused() {
    let port = Port::open().await;

    let answer = port.send(&format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(16 << 10))).await;

    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn the_sixty_fifth_connection_is_closed_at_once_and_the_others_are_answered() {
    let port = Port::open().await;
    let mut first = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 15]).await.unwrap();
        first.push(stream);
    }

    let mut last = TcpStream::connect(port.address).await.unwrap();
    let at_once = timeout(LONGEST_HEAD / 2, last.read(&mut [0])).await.expect("it waits for a place");
    assert_eq!(at_once.unwrap(), 0);

    drop(first);
    while !port.get("/livez").await.starts_with("HTTP/1.1 200") {}
}

#[tokio::test]
async fn a_stop_closes_the_port() {
    let mut port = Port::open().await;

    port.stop.cancel();

    port.serving.join_next().await.unwrap().unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
}

/// An open operations port of a process that waits for its authority.
struct Port {
    address: SocketAddr,
    authority: Condition,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

impl Port {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Metrics::of(|| metrics::counter!("t_issued_total").increment(1));
        let (readiness, stop) = (Readiness::of("t"), CancellationToken::new());
        let authority = readiness.condition("authority", "starting");
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, metrics, readiness, stop.clone()));
        Self { address, authority, stop, serving }
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    /// Whatever comes back until the other end closes, or has said enough.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut answer = vec![];
        if stream.write_all(request.as_bytes()).await.is_ok() {
            stream.shutdown().await.unwrap_or_default();
            drop(stream.read_to_end(&mut answer).await);
        }
        String::from_utf8(answer).unwrap()
    }
}
