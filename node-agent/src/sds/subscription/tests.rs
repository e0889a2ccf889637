//! Properties over random sequences of requests and contents, whatever the protocol.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["default", "ROOTCA", "spiffe://td.test/ns/a/sa/b"];

fn name(text: &str) -> ResourceName {
    ResourceName::parse(text, &"td.test".parse().unwrap()).unwrap()
}

/// One thing that can happen to a stream.
#[derive(Debug, Clone)]
enum Event {
    Replace(Vec<usize>),
    Subscribe(usize),
    Unsubscribe(usize),
    Ack,
    Nack,
    Content(usize, u8),
    Lost(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let any_name = 0..NAMES.len();
    prop_oneof![
        proptest::collection::vec(any_name.clone(), 0..4).prop_map(Event::Replace),
        any_name.clone().prop_map(Event::Subscribe),
        any_name.clone().prop_map(Event::Unsubscribe),
        Just(Event::Ack),
        Just(Event::Nack),
        (any_name.clone(), 0..3u8).prop_map(|(name, content)| Event::Content(name, content)),
        any_name.prop_map(Event::Lost),
    ]
}

/// What the client knows, kept independently of the code under test.
#[derive(Default)]
struct Model {
    contents: HashMap<&'static str, u8>,
    /// What the client was last told under each name it wants; `None`: nothing yet.
    told: HashMap<String, Option<u8>>,
}

impl Model {
    fn contents(&self) -> impl Contents + use<> {
        let contents = self.contents.clone();
        move |name: &ResourceName| {
            contents.get(name.as_str()).map(|content| PublishedSecret::for_tests(&content.to_string()))
        }
    }

    fn apply(&mut self, subscription: &mut Subscription, last_nonce: &str, event: Event) {
        match event {
            Event::Replace(wanted) => {
                let wanted: Vec<_> = wanted.into_iter().map(|index| NAMES[index]).collect();
                self.told.retain(|name, _| wanted.contains(&name.as_str()));
                for name in &wanted {
                    self.told.entry((*name).to_owned()).or_default();
                }
                subscription.replace(wanted.into_iter().map(name).collect());
            }
            Event::Subscribe(index) => {
                self.told.insert(NAMES[index].to_owned(), None);
                subscription.subscribe(name(NAMES[index]));
            }
            Event::Unsubscribe(index) => {
                self.told.remove(NAMES[index]);
                subscription.unsubscribe(NAMES[index]);
            }
            Event::Ack => assert_eq!(subscription.hear(last_nonce), Heard::Current),
            Event::Nack => {
                let first = subscription.reject(last_nonce);
                assert!(!subscription.reject(last_nonce), "one response is rejected once");
                assert!(!(first && last_nonce.is_empty()));
            }
            Event::Content(index, content) => {
                self.contents.insert(NAMES[index], content);
            }
            Event::Lost(index) => {
                self.contents.remove(NAMES[index]);
            }
        }
    }

    fn owed(&self) -> HashSet<String> {
        let news = |(name, told): (&String, &Option<u8>)| {
            let content = self.contents.get(name.as_str()).copied();
            (content.is_some() && content != *told).then(|| name.clone())
        };
        self.told.iter().filter_map(news).collect()
    }

    fn incomplete(&self) -> bool {
        self.told.iter().any(|(name, told)| told.is_none() && !self.contents.contains_key(name.as_str()))
    }

    fn tell(&mut self, push: &Push) {
        for (name, secret) in &push.secrets {
            let content = self.contents[name.as_str()];
            assert_eq!(secret.version(), PublishedSecret::for_tests(&content.to_string()).version());
            assert!(self.told.insert(name.to_string(), Some(content)).is_some(), "{name} was not asked for");
        }
    }
}

proptest! {
    /// Exactly what is owed is sent, once; an ACK, a NACK or an unsubscribe owes nothing.
    #[test]
    fn delta_sends_each_news_once(events in proptest::collection::vec(event(), 0..60)) {
        let (mut subscription, mut model, mut nonces) = (Subscription::new(1), Model::default(), vec![String::new()]);
        for event in events {
            model.apply(&mut subscription, nonces.last().unwrap(), event);
            let owed = model.owed();
            let push = subscription.push_each(model.contents());
            let sent = push.iter().flat_map(|push| &push.secrets).map(|(name, _)| name.to_string()).collect();
            prop_assert_eq!(owed, sent);
            if let Some(push) = push {
                model.tell(&push);
                nonces.push(push.nonce);
            }
            prop_assert!(subscription.push_each(model.contents()).is_none(), "a second push without news");
        }
        prop_assert_eq!(nonces.iter().collect::<HashSet<_>>().len(), nonces.len(), "nonces are unique");
    }

    /// A response comes only when something is owed and no name is without its first answer.
    #[test]
    fn state_of_the_world_waits_and_never_repeats(events in proptest::collection::vec(event(), 0..60)) {
        let (mut subscription, mut model, mut nonces) = (Subscription::new(2), Model::default(), vec![String::new()]);
        for event in events {
            model.apply(&mut subscription, nonces.last().unwrap(), event);
            let due = !model.owed().is_empty() && !model.incomplete();
            let push = subscription.push_together(model.contents());
            prop_assert_eq!(push.is_some(), due);
            if let Some(push) = push {
                prop_assert_eq!(push.secrets.len(), model.told.keys().filter(|name| model.contents.contains_key(name.as_str())).count());
                model.tell(&push);
                nonces.push(push.nonce);
            }
            prop_assert!(subscription.push_together(model.contents()).is_none(), "a second push without news");
        }
        prop_assert_eq!(nonces.iter().collect::<HashSet<_>>().len(), nonces.len(), "nonces are unique");
    }

    /// Garbage for a nonce neither panics nor counts as a rejection.
    #[test]
    fn a_made_up_nonce_rejects_nothing(nonce in "\\PC{0,40}|[0-9a-f]{16}-[0-9]{1,25}") {
        let mut subscription = Subscription::new(3);
        subscription.subscribe(name("ROOTCA"));
        let push = subscription.push_each(|_: &ResourceName| Some(PublishedSecret::for_tests("x"))).unwrap();
        prop_assume!(nonce != push.nonce);
        prop_assert!(!subscription.reject(&nonce));
        prop_assert!(subscription.reject(&push.nonce));
    }
}
