//! Whom the client takes for the CA.

use super::*;

#[tokio::test]
async fn a_server_that_is_not_the_ca_gets_no_token() {
    let fixture = Fixture::new();
    let (ours, theirs) = (&fixture.pki, Pki::new());
    let workload = "spiffe://cluster.local/ns/foo/sa/bar";
    for (name, serving, reason) in [
        ("under another root of that name", theirs.serving(CA_NAME, &[CA_ID]), "BadSignature"),
        ("with another name", ours.serving("other.signet.test", &[CA_ID]), "not valid for name"),
        ("expired", ours.serving_until(CA_NAME, &[CA_ID], 2001), "expired"),
        ("a workload that was granted the name", ours.serving(CA_NAME, &[workload]), workload),
        ("without a SPIFFE ID", ours.serving(CA_NAME, &[]), "SPIFFE ID is ``"),
        ("with a second SPIFFE ID", ours.serving(CA_NAME, &[CA_ID, workload]), workload),
    ] {
        let server = TestServer::start(serving, Reply::Chain(fixture.chain())).await;
        let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
        becomes(&client, Reachability::Disconnected).await;
        let error = ask(&client).await.unwrap_err();
        assert!(matches!(error, CaError::Unavailable(Outage::Disconnected { .. })), "{name}: {error:?}");
        assert!(told(&error).contains(reason), "{name}: {}", told(&error));
        assert!(told(&error).contains("the server presented"), "{name}: {}", told(&error));
        assert_eq!(server.seen(|seen| seen.calls.len()), 0, "{name}");
    }
}

#[tokio::test]
async fn a_ca_of_another_kind_needs_no_spiffe_id() {
    let fixture = Fixture::new();
    let server = TestServer::start(fixture.pki.serving(CA_NAME, &[]), Reply::Chain(fixture.chain())).await;
    let endpoint = CaEndpoint { spiffe_id: None, ..fixture.endpoint(&server) };
    ask(&IstioCa::with_timing(endpoint, quick()).unwrap()).await.unwrap();
}
