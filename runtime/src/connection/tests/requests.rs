//! What every request gets: its peer, its deadline, and a bound on its headers.

use http::StatusCode;
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_knows_its_peer() {
    let (send, _served) = Served::to_good_client(Limits::default()).await;

    let answer = call(&send, "0", NO_HEADER).await.unwrap();

    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(status.message(), "Some(1337)");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_deadline_exceeded_at_the_earlier_deadline() {
    let cases = [
        ("ours", Limits::default(), NO_HEADER, 10),
        ("the client's", Limits::default(), ("grpc-timeout", "3S"), 3),
        ("ours, against a longer one", Limits::default(), ("grpc-timeout", "1H"), 10),
        ("that of endless streams", Limits::default().for_endless_streams(), NO_HEADER, 15),
        (
            "the same, against a longer one",
            Limits::default().for_endless_streams(),
            ("grpc-timeout", "1M"),
            15,
        ),
    ];
    for (name, limits, header, seconds) in cases {
        let (send, _served) = Served::to_good_client(limits).await;
        let start = Instant::now();

        let answer = call(&send, "3600", header).await.unwrap();

        assert_eq!(code(&answer), Code::DeadlineExceeded, "{name}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_begun_is_not_cut_by_the_deadline() {
    let (send, _served) = Served::to_good_client(Limits::default().for_endless_streams()).await;
    let mut body = call(&send, "flood", NO_HEADER).await.unwrap().into_body();

    sleep(60 * SECOND).await;

    for _ in 0..100 {
        let data = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn headers_over_the_limit_are_answered_431_and_the_connection_goes_on() {
    let (send, served) = Served::to_good_client(Limits::default()).await;

    let within = call(&send, "0", ("authorization", &"x".repeat(30 << 10))).await.unwrap();
    let over = call(&send, "0", ("authorization", &"x".repeat(40 << 10))).await.unwrap();
    let next = call(&send, "0", NO_HEADER).await.unwrap();

    assert_eq!(code(&within), Code::Ok);
    assert_eq!(over.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(code(&next), Code::Ok);
    assert_eq!(served.started(), 2);
}

#[tokio::test(start_paused = true)]
async fn headers_far_over_the_limit_end_the_connection() {
    let (send, mut served) = Served::to_good_client(Limits::default()).await;

    let answer = call(&send, "0", ("authorization", &"x".repeat(1 << 20))).await;

    assert!(answer.is_err());
    assert_eq!(served.end().await, End::Broken);
    assert_eq!(served.started(), 0);
}
