//! One connection, at its beginning, at its end, and while there is none.

use super::*;

#[tokio::test]
async fn all_calls_share_one_connection() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = Arc::new(fixture.client(&server));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let client = Arc::clone(&client);
        calls.spawn(async move { ask(&client).await.map(drop) });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(server.seen(|seen| (seen.connections, seen.calls.len())), (1, 50));
}

#[tokio::test]
async fn a_ca_that_accepts_and_says_nothing_is_a_failed_connection() {
    let fixture = Fixture::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut endpoint = fixture.endpoint(&fixture.server().await);
    endpoint.address = silent.local_addr().unwrap().to_string();
    let timing = Timing { connect: Duration::from_millis(50), ..impatient() };
    let client = IstioCa::with_timing(endpoint, timing).unwrap();
    becomes(&client, Reachability::Disconnected).await;
    let error = ask(&client).await.unwrap_err();
    assert!(told(&error).contains("no connection within 50ms"), "{}", told(&error));
}

#[tokio::test]
async fn at_the_end_of_a_connections_age_answers_under_way_arrive_and_the_next_call_finds_a_new_one() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = Arc::new(fixture.client(&server));
    let (tell, told) = watch::channel(false);
    server.reply(Reply::OnceTold(told, fixture.chain()));
    let mut under_way = JoinSet::new();
    under_way.spawn({
        let client = Arc::clone(&client);
        async move { ask(&client).await.map(drop) }
    });
    eventually("a call", async || server.seen(|seen| (seen.calls.len() == 1).then_some(()))).await;

    server.go_away();
    server.reply(Reply::Chain(fixture.chain()));
    // The old connection is still up, for the first call's sake.
    while server.seen(|seen| seen.connections) == 1 {
        ask(&client).await.unwrap();
    }
    tell.send_replace(true);
    under_way.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn calls_never_fail_while_connections_come_to_their_age() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    for round in 0..50 {
        server.go_away();
        ask(&client).await.unwrap_or_else(|error| panic!("round {round}: {}", told(&error)));
    }
    assert!(server.seen(|seen| seen.connections) > 1);
}

#[tokio::test]
async fn a_refused_stream_is_sent_once_more_and_only_once() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    server.refuse_streams(1);
    ask(&client).await.unwrap();
    server.refuse_streams(2);
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, CaError::Unavailable(Outage::Broken { .. })), "{error:?}");
    assert_eq!(server.seen(|seen| seen.calls.len()), 1);
}

#[tokio::test]
async fn a_waiting_call_does_not_wait_for_the_backoff() {
    let fixture = Fixture::new();
    let mut endpoint = fixture.endpoint(&fixture.server().await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    endpoint.address = nobody.to_string();
    let mut timing = quick();
    (timing.pace.first_wait, timing.pace.longest_wait) = (DAY, DAY);
    let client = IstioCa::with_timing(endpoint, timing).unwrap();
    becomes(&client, Reachability::Disconnected).await;

    let serving = fixture.pki.serving(CA_NAME, &[CA_ID]);
    let _server = TestServer::start_at(nobody, serving, Reply::Chain(fixture.chain())).await;
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn the_cas_return_is_seen_though_nobody_calls() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    becomes(&client, Reachability::Reachable).await;
    let address = server.address;
    drop(server);
    becomes(&client, Reachability::Disconnected).await;
    let serving = fixture.pki.serving(CA_NAME, &[CA_ID]);
    let _server = TestServer::start_at(address, serving, Reply::Silence).await;
    becomes(&client, Reachability::Reachable).await;
}

#[tokio::test]
async fn each_new_connection_shows_though_the_ca_was_reachable_all_the_time() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    becomes(&client, Reachability::Reachable).await;
    let mut reachability = client.reachability();
    reachability.mark_unchanged();
    server.go_away();
    timeout(PATIENCE, reachability.changed()).await.unwrap().unwrap();
    assert_eq!(*reachability.borrow(), Reachability::Reachable);
    ask(&client).await.unwrap();
    assert_eq!(server.seen(|seen| seen.connections), 2);
}

#[tokio::test]
async fn somebody_who_waits_is_told_at_once_how_the_first_attempt_ended() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    fixture.client(&server).connected().await.unwrap();

    let nobody = CaEndpoint { address: "127.0.0.1:1".to_owned(), ..fixture.endpoint(&server) };
    let began = Instant::now();
    let error = IstioCa::with_timing(nobody, quick()).unwrap().connected().await.unwrap_err();
    assert!(told(&error).contains("no connection to 127.0.0.1:1: no TCP connection"), "{}", told(&error));
    assert!(began.elapsed() < quick().call, "it waited for another attempt");
}
