//! The roots without a certificate.

use signet_identity::BundleVersion;
use signet_proto::signet::v1::GetTrustBundleResponse;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn told(fixture: &Fixture) -> GetTrustBundleResponse {
    let root =
        answer::issued(&fixture.chain(), &Default::default(), "cluster.local".parse().unwrap()).unwrap();
    let root = root.bundle.authorities()[0].to_vec();
    let x509_authorities = vec![root.into()];
    GetTrustBundleResponse {
        trust_domain: "cluster.local".to_owned(),
        x509_authorities,
        epoch: 7,
        sequence: 3,
    }
}

#[tokio::test]
async fn the_roots_come_without_a_token_over_the_connection_that_certificates_come_over() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    server.tell_bundle(BundleReply::Told(told(&fixture)));
    let client = fixture.client(&server);

    let issued = ask(&client).await.unwrap();
    let bundle = client.trust_bundle().await.unwrap().unwrap();

    assert_eq!(bundle.authorities(), issued.bundle.authorities());
    assert_eq!(bundle.version(), Some(BundleVersion { epoch: 7, sequence: 3 }));
    let (connections, asked) = server.seen(|seen| (seen.connections, seen.bundle_calls.clone()));
    assert_eq!((connections, asked.len()), (1, 1));
    assert!(asked[0].contains_key("grpc-timeout") && !asked[0].contains_key("authorization"), "{asked:?}");
}

#[tokio::test]
async fn a_ca_that_does_not_know_the_call_does_not_offer_it_and_is_there_all_the_same() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);

    assert_eq!(client.trust_bundle().await.unwrap(), None);

    assert_eq!(*client.reachability().borrow(), Reachability::Reachable);
}

#[tokio::test]
async fn a_ca_that_fails_to_tell_its_roots_may_issue_all_the_same() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    server.tell_bundle(BundleReply::Silence);
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    becomes(&client, Reachability::Reachable).await;
    let busy = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
    let busy = Status::with_error_details(Code::ResourceExhausted, "later", busy);
    let far = GetTrustBundleResponse { trust_domain: "x".repeat(MAX_ANSWER_BYTES), ..told(&fixture) };
    for (name, reply, says) in [
        ("silence", BundleReply::Silence, "did not answer within 300ms"),
        ("busy", BundleReply::Status(busy), "the CA is overloaded"),
        ("unavailable", BundleReply::Status(Status::unavailable("no")), "Unavailable \"no\""),
        ("too long an answer", BundleReply::Told(far), "OutOfRange"),
        (
            "nonsense",
            BundleReply::Told(GetTrustBundleResponse { x509_authorities: vec![], ..told(&fixture) }),
            "the trust bundle has no certificate in it",
        ),
    ] {
        server.tell_bundle(reply);

        let error = client.trust_bundle().await.unwrap_err();

        assert!(super::told(&error).contains(says), "{name}: {}", super::told(&error));
        assert_eq!(error.retry_after(), (name == "busy").then_some(Duration::from_secs(9)), "{name}");
        assert_eq!(*client.reachability().borrow(), Reachability::Reachable, "{name}");
    }
}

#[tokio::test]
async fn roots_do_not_make_a_ca_reachable_that_issues_nothing() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    server.tell_bundle(BundleReply::Told(told(&fixture)));
    server.reply(Reply::Status(Status::deadline_exceeded("the signer hangs")));
    let client = fixture.client(&server);
    ask(&client).await.unwrap_err();

    client.trust_bundle().await.unwrap().unwrap();

    assert_eq!(*client.reachability().borrow(), Reachability::Failing);
}

#[tokio::test]
async fn a_question_for_roots_that_was_never_seen_is_sent_once_more() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    server.tell_bundle(BundleReply::Told(told(&fixture)));
    let client = fixture.client(&server);
    server.refuse_streams(1);

    client.trust_bundle().await.unwrap().unwrap();
}
