//! More than the CA takes.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    audit::StalledAudit,
    csr::{self, WEB},
    house::{House, request},
};

#[tokio::test]
async fn more_requests_than_the_queue_holds_are_told_to_come_back() {
    let house = House::with("[limits]\nin_flight = 1\nqueue = 1").await;
    let stalled = StalledAudit::of(&house);
    let client = house.client().await;
    let (token, csr) = (house.token(), csr::with_uris(&[WEB]));
    let mut storm: FuturesUnordered<_> = (0..64)
        .map(|_| {
            let (mut client, request) = (client.clone(), request(&token, &csr, 0));
            async move { client.create_certificate(request).await }
        })
        .collect();

    for _ in 0..62 {
        let status = storm.next().await.unwrap().unwrap_err();

        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        let delay = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
        assert!(delay >= Duration::from_secs(1), "{delay:?}");
    }
    let (served, _log) =
        tokio::join!(storm.collect::<Vec<_>>(), stalled.goes_on_until(r#""event":"issued""#));
    assert_eq!(served.len(), 2);
    assert!(served[0].is_ok(), "the place was held: {:?}", served[0]);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let house = House::with("[limits]\nmax_message_bytes = 8192").await;

    let status = house.ask(&"x".repeat(9000)).await.unwrap_err();

    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}
