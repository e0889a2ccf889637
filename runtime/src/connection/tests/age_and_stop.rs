//! How a connection ends that we end.

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_to_its_age_and_gets_a_goaway() {
    let (_send, mut served) = Served::to_good_client(Limits::default()).await;
    let start = Instant::now();

    assert_eq!(served.end().await, End::Aged);

    let (least, most) = (3240 * SECOND, 3961 * SECOND); // an hour, give or take a tenth
    assert!((least..most).contains(&start.elapsed()), "{:?}", start.elapsed());
    served.client.join_next().await.unwrap().unwrap().expect("GOAWAY, and no error");
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_when_its_connection_ages_is_answered() {
    let (send, mut served) =
        Served::to_good_client(Limits { age: Some(10 * SECOND), ..Limits::default() }).await;
    sleep(8 * SECOND).await;

    let answer = call(&send, "5", NO_HEADER).await.unwrap();

    assert_eq!(code(&answer), Code::Ok);
    drop(answer);
    assert_eq!(served.end().await, End::Aged);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_at_a_stop_is_answered_and_the_next_one_refused() {
    let (send, mut served) = Served::to_good_client(Limits::default()).await;

    let (in_flight, late) = tokio::join!(call(&send, "5", NO_HEADER), async {
        sleep(SECOND).await;
        served.stop.cancel();
        sleep(SECOND).await;
        call(&send, "0", NO_HEADER).await
    });

    assert_eq!(code(&in_flight.unwrap()), Code::Ok);
    assert!(late.is_err(), "a request after GOAWAY");
    assert_eq!(served.end().await, End::Drained);
    assert_eq!(served.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_outlasts_the_grace_is_cut() {
    let limits = Limits { request: 3600 * SECOND, ..Limits::default() };
    let (send, mut served) = Served::to_good_client(limits).await;
    let start = Instant::now();

    let (answer, ()) = tokio::join!(call(&send, "3600", NO_HEADER), async {
        sleep(SECOND).await;
        served.stop.cancel();
    });

    assert!(answer.is_err());
    assert_eq!(served.end().await, End::Cut);
    assert_eq!(start.elapsed().as_secs(), 1 + 10);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_client_that_has_not_begun() {
    let (_client, mut served) = Served::under(Limits::default());
    let start = Instant::now();

    served.stop.cancel();

    assert_eq!(served.end().await, End::Drained);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_endless_streams_has_no_age() {
    let (_send, mut served) = Served::to_good_client(Limits::default().for_endless_streams()).await;

    let ended = tokio::time::timeout(2 * 3600 * SECOND, served.end()).await;

    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_an_end_without_fault() {
    let (send, mut served) = Served::to_good_client(Limits::default()).await;

    call(&send, "0", NO_HEADER).await.unwrap();
    drop(send);

    assert_eq!(served.end().await, End::Left);
}
