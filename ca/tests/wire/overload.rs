//! More than the CA takes.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    csr::{self, WEB},
    house::{House, request, request_id},
};

#[tokio::test]
async fn more_requests_than_the_queue_holds_are_told_to_come_back() {
    let house = House::with("[limits]\nin_flight = 1\nqueue = 1").await;
    let client = house.client().await;
    let (token, csr) = (house.token(), csr::with_uris(&[WEB]));

    let storm = (0..64).map(|_| {
        let (mut client, request) = (client.clone(), request(&token, &csr, 0));
        async move { client.create_certificate(request).await }
    });
    let answers = join_all(storm).await;

    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(!refused.is_empty() && refused.len() < 64, "{} of 64 were refused", refused.len());
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        let delay = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
        assert!(delay >= Duration::from_secs(1), "{delay:?}");
        assert!(house.audit(&request_id(status.metadata())).is_empty());
    }
    let mut client = house.client().await;
    assert!(client.create_certificate(request(&token, &csr, 0)).await.is_ok(), "the storm is over");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let house = House::with("[limits]\nmax_message_bytes = 8192").await;

    let status = house.ask(&"x".repeat(9000)).await.unwrap_err();

    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}
