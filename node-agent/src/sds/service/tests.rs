//! The edge: who is let in, and how long a fetch waits.

use signet_client::{
    Reachability,
    testing::{Answer, FakeCa},
};
use signet_runtime::peer::{Origin, UnixCredentials};
use tokio::time::Instant;
use tonic::Code;

use super::*;
use crate::{
    StreamLimits,
    testing::{HOUR, UID, World},
};

fn service(world: &World, limits: StreamLimits) -> SdsService {
    SdsService::new(&IdentitySource::StreamToken, world.cache.clone(), Peers::new(limits))
}

fn fetch(names: &[&str], tokens: &[&str]) -> Request<DiscoveryRequest> {
    let resource_names = names.iter().map(|&name| name.to_owned()).collect();
    let mut request = Request::new(DiscoveryRequest { resource_names, ..Default::default() });
    for token in tokens {
        request.metadata_mut().append("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let unix = UnixCredentials::new(None, UID, UID);
    request.extensions_mut().insert(Peer::new(Origin::Unix(unix)));
    request.extensions_mut().insert(Peers::new(StreamLimits::default()).connect(&unix).unwrap());
    request
}

fn minted(world: &World) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    world.ca.write_token(&path, "a", "web", HOUR);
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_answered_with_all_it_names() {
    let world = World::new();
    let token = minted(&world);
    let answer = service(&world, StreamLimits::default())
        .fetch_secrets(fetch(&["default", "ROOTCA"], &[&token]))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().resources.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_ten_seconds_and_then_says_what_it_waited_for() {
    let world = World::new();
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    world.ca.set_reachability(Reachability::Failing);
    let started = Instant::now();
    let token = minted(&world);
    let status = service(&world, StreamLimits::default())
        .fetch_secrets(fetch(&["default"], &[&token]))
        .await
        .unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("asked again by itself"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_proper_request_is_refused_before_the_ca_hears_of_it() {
    let world = World::new();
    let service = service(&world, StreamLimits::default());
    let mut over_tcp = fetch(&["default"], &[]);
    over_tcp.extensions_mut().insert(Peer::new(Origin::Tcp(([127, 0, 0, 1], 1).into())));
    let mut wrong_type = fetch(&["default"], &[]);
    wrong_type.get_mut().type_url = "type.googleapis.com/a.B".to_owned();
    for (name, request, code) in [
        ("two tokens", fetch(&["default"], &["one", "two"]), Code::Unauthenticated),
        ("a token that no header can carry", fetch(&["default"], &[""]), Code::Unauthenticated),
        ("no names", fetch(&[], &[]), Code::InvalidArgument),
        ("ten thousand names", fetch(&["default"; 10_000], &[]), Code::InvalidArgument),
        ("an unknown name", fetch(&["nope"], &[]), Code::NotFound),
        ("a wrong type URL", wrong_type, Code::InvalidArgument),
        ("not a Unix socket", over_tcp, Code::PermissionDenied),
    ] {
        assert_eq!(service.fetch_secrets(request).await.unwrap_err().code(), code, "{name}");
    }
    assert!(world.ca.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_socket_with_a_token_file_looks_at_no_token_of_a_stream() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    world.ca.write_token(&path, "a", "file", HOUR);
    let source = IdentitySource::TokenFile(path);
    let service = SdsService::new(&source, world.cache.clone(), Peers::new(StreamLimits::default()));
    service.fetch_secrets(fetch(&["default"], &[&minted(&world)])).await.unwrap();
    let asked: Vec<_> = world.ca.calls().into_iter().map(|call| call.identity).collect();
    assert_eq!(asked, ["spiffe://td.test/ns/a/sa/file"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_node_says_so() {
    let world = World::new();
    let full = service(&world, StreamLimits { node: 0, peer: 0, connections_per_peer: 1 });
    let status = full.fetch_secrets(fetch(&["default"], &[])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}
