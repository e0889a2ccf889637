//! The dialogue with a proxy, as Envoy 1.40 was seen to speak it.

use std::{cell::Cell, sync::Arc};

use prost::Message;
use signet_proto::envoy::extensions::transport_sockets::tls::v3::Secret;

use super::*;
use crate::sds::secret::PublishedSecret;

/// A stream whose contents the test sets.
struct Stream {
    subscription: Subscription,
    svid: Cell<Option<&'static str>>,
    roots: Cell<Option<&'static str>>,
}

impl Stream {
    fn new(stream: u64) -> Self {
        Self {
            subscription: Subscription::new(stream),
            svid: Cell::new(Some("leaf 1")),
            roots: Cell::new(Some("root 1")),
        }
    }

    fn receive<P: Protocol>(&mut self, request: P::Request) -> Result<Option<Rejection>, RequestFault> {
        P::receive(&mut self.subscription, request, &"td.test".parse().unwrap())
    }

    fn push<P: Protocol>(&mut self) -> Option<P::Response> {
        let (svid, roots) = (self.svid.get(), self.roots.get());
        let current = move |name: &ResourceName| -> Option<Arc<PublishedSecret>> {
            if name.is_svid() { svid } else { roots }.map(PublishedSecret::for_tests)
        };
        P::push(&mut self.subscription, current).map(P::response)
    }

    /// What a good request is answered with.
    fn ask<P: Protocol>(&mut self, request: P::Request) -> Option<P::Response> {
        assert_eq!(self.receive::<P>(request).unwrap(), None);
        self.push::<P>()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn first(resource_names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: names(resource_names),
        type_url: SECRET_TYPE_URL.to_owned(),
        ..Default::default()
    }
}

fn ack(response: &DiscoveryResponse, resource_names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: response.version_info.clone(),
        response_nonce: response.nonce.clone(),
        ..first(resource_names)
    }
}

fn nack(response: &DiscoveryResponse, resource_names: &[&str]) -> DiscoveryRequest {
    let error = rpc::Status { code: 13, message: "Failed to load certificate chain".into(), details: vec![] };
    DiscoveryRequest {
        version_info: String::new(),
        error_detail: Some(error),
        ..ack(response, resource_names)
    }
}

fn subscribe(resource_names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { resource_names_subscribe: names(resource_names), ..Default::default() }
}

fn named(resources: &[prost_types::Any]) -> Vec<String> {
    resources.iter().map(|any| Secret::decode(&*any.value).unwrap().name).collect()
}

type Sotw = StateOfTheWorld;

#[test]
fn a_first_request_is_answered_and_its_ack_is_not() {
    let mut stream = Stream::new(1);
    let response = stream.ask::<Sotw>(first(&["default"])).unwrap();
    assert_eq!(named(&response.resources), ["default"]);
    assert_eq!(response.type_url, SECRET_TYPE_URL);
    assert!(!response.nonce.is_empty());
    assert_eq!(stream.ask::<Sotw>(ack(&response, &["default"])), None);
}

#[test]
fn new_content_is_pushed_once_under_a_new_version_and_nonce() {
    let mut stream = Stream::new(1);
    let before = stream.ask::<Sotw>(first(&["default"])).unwrap();
    stream.svid.set(Some("leaf 2"));
    let after = stream.push::<Sotw>().unwrap();
    assert_ne!(before.version_info, after.version_info);
    assert_ne!(before.nonce, after.nonce);
    assert_eq!(stream.push::<Sotw>(), None);
}

#[test]
fn rejected_content_is_held_until_there_is_other_content() {
    let mut stream = Stream::new(1);
    let bad = stream.ask::<Sotw>(first(&["default"])).unwrap();
    let rejection = stream.receive::<Sotw>(nack(&bad, &["default"])).unwrap().unwrap();
    assert_eq!(rejection.reason, "Failed to load certificate chain");
    for _ in 0..1000 {
        assert_eq!(stream.ask::<Sotw>(nack(&bad, &["default"])), None, "counted once, never re-sent");
    }
    stream.svid.set(Some("leaf 2"));
    assert!(stream.push::<Sotw>().is_some());
}

#[test]
fn a_reason_is_cut_to_what_fits_a_log_line() {
    let mut stream = Stream::new(1);
    let bad = stream.ask::<Sotw>(first(&["default"])).unwrap();
    let error = rpc::Status { message: "é".repeat(100_000), ..Default::default() };
    let nack = DiscoveryRequest { error_detail: Some(error), ..ack(&bad, &["default"]) };
    let rejection = stream.receive::<Sotw>(nack).unwrap().unwrap();
    assert_eq!(rejection.reason.chars().count(), LONGEST_REASON);
}

#[test]
fn a_rejection_that_asks_for_one_more_name_is_answered() {
    let mut stream = Stream::new(1);
    let bad = stream.ask::<Sotw>(first(&["default"])).unwrap();
    assert!(stream.receive::<Sotw>(nack(&bad, &["default", "ROOTCA"])).unwrap().is_some());
    assert_eq!(named(&stream.push::<Sotw>().unwrap().resources), ["default", "ROOTCA"]);
}

#[test]
fn a_reconnect_is_answered_whatever_version_it_brings() {
    let response = Stream::new(1).ask::<Sotw>(first(&["default"])).unwrap();
    for version in [response.version_info.as_str(), "an older one"] {
        let reconnect = DiscoveryRequest { version_info: version.to_owned(), ..first(&["default"]) };
        assert!(Stream::new(2).ask::<Sotw>(reconnect).is_some(), "{version}");
    }
    let nonce_of_old = DiscoveryRequest { response_nonce: response.nonce, ..first(&["default"]) };
    assert!(Stream::new(3).ask::<Sotw>(nonce_of_old).is_some(), "a nonce of the stream before");
}

#[test]
fn a_version_survives_a_restart_of_the_agent() {
    let [before, after] = [1, 2].map(|stream| Stream::new(stream).ask::<Sotw>(first(&["default"])).unwrap());
    assert_eq!(before.version_info, after.version_info);
}

#[test]
fn a_first_request_without_names_gets_nothing_and_a_later_one_unsubscribes() {
    let mut stream = Stream::new(1);
    assert_eq!(stream.ask::<Sotw>(first(&[])), None);
    let response = stream.ask::<Sotw>(first(&["default"])).unwrap();
    assert_eq!(stream.ask::<Sotw>(ack(&response, &[])), None);
    assert_eq!(stream.subscription.names().count(), 0);
    stream.svid.set(Some("leaf 2"));
    assert_eq!(stream.push::<Sotw>(), None);
}

#[test]
fn a_stale_nonce_changes_nothing() {
    let mut stream = Stream::new(1);
    let old = stream.ask::<Sotw>(first(&["default"])).unwrap();
    stream.svid.set(Some("leaf 2"));
    let new = stream.push::<Sotw>().unwrap();
    assert_eq!(stream.ask::<Sotw>(ack(&old, &["default", "ROOTCA"])), None);
    assert_eq!(stream.ask::<Sotw>(first(&["ROOTCA"])), None, "an empty nonce is stale too");
    assert_eq!(named(&stream.ask::<Sotw>(ack(&new, &["default", "ROOTCA"])).unwrap().resources).len(), 2);
}

#[test]
fn a_stale_rejection_of_ours_is_heard_once_and_changes_no_names() {
    let mut stream = Stream::new(1);
    let old = stream.ask::<Sotw>(first(&["default"])).unwrap();
    stream.svid.set(Some("leaf 2"));
    stream.push::<Sotw>().unwrap();
    for (name, nonce, heard) in
        [("another's", "x-1", false), ("ours", &*old.nonce, true), ("again", &*old.nonce, false)]
    {
        let nack = DiscoveryRequest { response_nonce: nonce.to_owned(), ..nack(&old, &["ROOTCA"]) };
        assert_eq!(stream.receive::<Sotw>(nack).unwrap().is_some(), heard, "{name}");
        assert_eq!(stream.push::<Sotw>(), None, "{name}");
    }
}

#[test]
fn names_may_change_before_the_first_answer() {
    let mut stream = Stream::new(1);
    stream.svid.set(None);
    assert_eq!(stream.ask::<Sotw>(first(&["default"])), None);
    assert_eq!(named(&stream.ask::<Sotw>(first(&["ROOTCA"])).unwrap().resources), ["ROOTCA"]);
}

#[test]
fn several_names_wait_for_each_other_in_state_of_the_world_and_not_in_delta() {
    let (mut stream, mut delta) = (Stream::new(1), Stream::new(2));
    stream.svid.set(None);
    delta.svid.set(None);
    assert_eq!(stream.ask::<Sotw>(first(&["default", "ROOTCA"])), None);
    let roots = delta.ask::<Delta>(subscribe(&["default", "ROOTCA"])).unwrap();
    assert_eq!(roots.resources.iter().map(|resource| resource.name.as_str()).collect::<Vec<_>>(), ["ROOTCA"]);
    stream.svid.set(Some("leaf 1"));
    delta.svid.set(Some("leaf 1"));
    assert_eq!(named(&stream.push::<Sotw>().unwrap().resources), ["default", "ROOTCA"]);
    assert_eq!(delta.push::<Delta>().unwrap().resources[0].name, "default");
}

#[test]
fn an_answered_name_whose_content_is_gone_does_not_hold_up_the_others() {
    let mut stream = Stream::new(1);
    stream.ask::<Sotw>(first(&["default", "ROOTCA"])).unwrap();
    stream.svid.set(None);
    stream.roots.set(Some("root 2"));
    assert_eq!(named(&stream.push::<Sotw>().unwrap().resources), ["ROOTCA"]);
}

#[test]
fn each_name_gets_the_secret_under_that_very_name() {
    let asked = ["spiffe://td.test/ns/a/sa/b", "default", "td.test", "spiffe://td.test", "ROOTCA"];
    let response = Stream::new(1).ask::<Sotw>(first(&asked)).unwrap();
    assert_eq!(named(&response.resources), asked);
    let response = Stream::new(1).ask::<Delta>(subscribe(&asked)).unwrap();
    for (resource, asked) in response.resources.iter().zip(asked) {
        assert_eq!(resource.name, asked);
        assert_eq!(named(resource.resource.as_slice()), [asked]);
    }
}

#[test]
fn a_delta_client_that_lost_a_secret_gets_it_again_and_an_ack_is_not_answered() {
    let mut stream = Stream::new(1);
    let response = stream.ask::<Delta>(subscribe(&["default"])).unwrap();
    let ack = DeltaDiscoveryRequest { response_nonce: response.nonce, ..Default::default() };
    assert_eq!(stream.ask::<Delta>(ack), None);
    let again = stream.ask::<Delta>(subscribe(&["default"])).unwrap();
    assert_eq!(again.resources[0].version, response.resources[0].version);
}

#[test]
fn a_delta_reconnect_is_answered_and_removals_are_obeyed() {
    let mut stream = Stream::new(1);
    let held = [("default".to_owned(), "2".to_owned())].into();
    let reconnect = DeltaDiscoveryRequest { initial_resource_versions: held, ..subscribe(&["default"]) };
    assert!(stream.ask::<Delta>(reconnect).is_some());
    let gone =
        DeltaDiscoveryRequest { resource_names_unsubscribe: names(&["default", "x"]), ..Default::default() };
    assert_eq!(stream.ask::<Delta>(gone), None);
    stream.svid.set(Some("leaf 2"));
    assert_eq!(stream.push::<Delta>(), None);
}

#[test]
fn a_delta_rejection_is_heard_once_for_any_response_in_flight() {
    let mut stream = Stream::new(1);
    let svid = stream.ask::<Delta>(subscribe(&["default"])).unwrap();
    let roots = stream.ask::<Delta>(subscribe(&["ROOTCA"])).unwrap();
    for (nonce, heard) in [(&svid.nonce, true), (&roots.nonce, true), (&roots.nonce, false)] {
        let nack = DeltaDiscoveryRequest {
            response_nonce: nonce.clone(),
            error_detail: Some(rpc::Status::default()),
            ..Default::default()
        };
        assert_eq!(stream.receive::<Delta>(nack).unwrap().is_some(), heard);
        assert_eq!(stream.push::<Delta>(), None);
    }
}

#[test]
fn ten_thousand_names_are_refused_in_either_protocol() {
    let many = vec!["default"; 10_000];
    let fault = RequestFault::TooManyNames { count: 10_000, max: MOST_NAMES };
    assert_eq!(Stream::new(1).receive::<Sotw>(first(&many)), Err(fault.clone()));
    assert_eq!(Stream::new(1).receive::<Delta>(subscribe(&many)), Err(fault.clone()));
    let unsubscribe =
        DeltaDiscoveryRequest { resource_names_unsubscribe: names(&many), ..Default::default() };
    assert_eq!(Stream::new(1).receive::<Delta>(unsubscribe), Err(fault));
}

#[test]
fn delta_names_are_bounded_over_the_whole_stream() {
    let mut stream = Stream::new(1);
    let ask = |stream: &mut Stream, number: usize| {
        stream.receive::<Delta>(subscribe(&[&format!("spiffe://td.test/ns/a/sa/{number}")]))
    };
    for number in 0..MOST_NAMES {
        ask(&mut stream, number).unwrap();
    }
    assert!(matches!(ask(&mut stream, MOST_NAMES), Err(RequestFault::TooManyNames { .. })));
}

#[test]
fn a_wrong_type_url_and_an_unknown_name_are_refused() {
    let wrong_type = DiscoveryRequest { type_url: "type.googleapis.com/a.B".into(), ..first(&["default"]) };
    assert!(matches!(Stream::new(1).receive::<Sotw>(wrong_type), Err(RequestFault::WrongTypeUrl(_))));
    let wrong_type =
        DeltaDiscoveryRequest { type_url: "type.googleapis.com/a.B".into(), ..subscribe(&["default"]) };
    assert!(matches!(Stream::new(1).receive::<Delta>(wrong_type), Err(RequestFault::WrongTypeUrl(_))));
    assert!(matches!(
        Stream::new(1).receive::<Sotw>(first(&["nope"])),
        Err(RequestFault::UnknownName { .. })
    ));
    assert!(matches!(
        Stream::new(1).receive::<Delta>(subscribe(&["nope"])),
        Err(RequestFault::UnknownName { .. })
    ));
}
