//! More than the CA takes.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};
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

#[tokio::test]
async fn a_question_of_health_or_reflection_over_four_kibibytes_is_refused() {
    let house = House::open().await;
    let (mut health, mut reflection) =
        (HealthClient::new(house.channel().await), ServerReflectionClient::new(house.channel().await));
    // Beside the name: the tag of its field and its length, 3 bytes. Reflection ends without a word where it
    // does not understand.
    for (bytes, health_says, reflection_says) in
        [(4093, Code::NotFound, Some(Code::NotFound)), (4094, Code::OutOfRange, None)]
    {
        let service = "x".repeat(bytes);
        let question = MessageRequest::FileContainingSymbol(service.clone());
        let question = ServerReflectionRequest { message_request: Some(question), ..Default::default() };

        let answer = health.check(HealthCheckRequest { service }).await;
        let shown = async {
            reflection
                .server_reflection_info(tokio_stream::once(question))
                .await?
                .into_inner()
                .message()
                .await
        };

        assert_eq!(answer.unwrap_err().code(), health_says, "health, {bytes} bytes");
        assert_eq!(
            shown.await.map_err(|status| status.code()).err(),
            reflection_says,
            "reflection, {bytes} bytes"
        );
    }
}
