//! Every order of offers and time, with certificates that exist.

use std::{collections::HashMap, sync::LazyLock};

use proptest::prelude::*;
use serde_json::json;
use signet_identity::{CaCertificate, PrivateKey, testing::TestAuthority};

use super::*;
use crate::trust::Origin;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const TERMS: Terms =
    Terms { overlap: Duration::from_secs(24 * 3600), longest_leaf: Duration::from_secs(6 * 3600) };

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn known(authority: &TestAuthority) -> KnownAuthority {
    KnownAuthority {
        origin: Origin::Injected,
        certificate: authority.certificate().clone(),
        intermediates: authority.intermediates().to_vec(),
        roots: authority.bundle().authorities().to_vec(),
        key: None,
    }
}

fn root() -> TestAuthority {
    TestAuthority::new("cluster.local", start())
}

/// The same authority, with the root of another beside its own.
fn with_root_of(authority: &KnownAuthority, other: &KnownAuthority) -> KnownAuthority {
    KnownAuthority { roots: [&authority.roots[..], &other.roots[..]].concat(), ..authority.clone() }
}

fn roots(trust: &Trust) -> Vec<Root> {
    trust.roots().cloned().collect()
}

#[test]
fn the_first_authority_signs_at_once() {
    let first = known(&root());
    let trust = Trust::steady(first.clone()).stepped(TERMS, start());

    assert_eq!(trust.stage(), Stage::Steady);
    assert_eq!((trust.active(), roots(&trust)), (&first, first.roots.clone()));
    assert_eq!(trust.next_change(TERMS), None);
}

#[test]
fn a_new_root_is_published_then_signed_under_and_the_old_one_leaves_when_its_last_leaf_is_dead() {
    let (old, new) = (known(&root()), known(&root()));
    let both = [&old.roots[..], &new.roots[..]].concat();

    let prepared = Trust::steady(old.clone()).offered(new.clone(), start()).stepped(TERMS, start());
    assert_eq!((prepared.stage(), prepared.active(), prepared.next()), (Stage::Prepared, &old, Some(&new)));
    assert_eq!(roots(&prepared), both);

    let activation = start() + TERMS.overlap;
    assert_eq!(prepared.next_change(TERMS), Some(activation));
    let early = prepared.clone().stepped(TERMS, activation - Duration::from_secs(1));
    assert_eq!(early, prepared);

    let retiring = prepared.stepped(TERMS, activation);
    assert_eq!((retiring.stage(), retiring.active(), retiring.next()), (Stage::Retiring, &new, None));
    assert_eq!(roots(&retiring), both);

    let end = activation + TERMS.longest_leaf;
    assert_eq!(retiring.next_change(TERMS), Some(end));
    assert_eq!(roots(&retiring.clone().stepped(TERMS, end - Duration::from_secs(1))), both);
    let steady = retiring.stepped(TERMS, end);
    assert_eq!((steady.stage(), roots(&steady)), (Stage::Steady, new.roots));
}

#[test]
fn another_signer_under_a_root_that_proxies_hold_signs_at_once() {
    let root = root();
    let (old, new) = (known(&root.intermediate(start())), known(&root.intermediate(start())));

    let trust = Trust::steady(old).offered(new.clone(), start()).stepped(TERMS, start());

    assert_eq!((trust.stage(), trust.active()), (Stage::Steady, &new));
}

#[test]
fn a_root_that_was_added_beforehand_has_travelled_when_its_time_is_over_and_not_before() {
    let (old, new) = (known(&root()), known(&root()));
    let announced = with_root_of(&old, &new);
    let trust = Trust::steady(old).offered(announced.clone(), start()).stepped(TERMS, start());
    assert_eq!((trust.stage(), trust.active()), (Stage::Steady, &announced));

    let in_an_hour = trust.clone().offered(new.clone(), start() + HOUR).stepped(TERMS, start() + HOUR);
    assert_eq!((in_an_hour.stage(), in_an_hour.active()), (Stage::Prepared, &announced));
    assert_eq!(in_an_hour.next_change(TERMS), Some(start() + TERMS.overlap), "the hour counts");

    let later = start() + TERMS.overlap;
    let in_a_day = trust.offered(new.clone(), later).stepped(TERMS, later);
    assert_eq!((in_a_day.stage(), in_a_day.active()), (Stage::Retiring, &new));
}

#[test]
fn another_path_for_the_same_signer_is_taken_at_once() {
    let old = known(&root().intermediate(start()));
    let without_itself = KnownAuthority { intermediates: Vec::new(), ..old.clone() };

    let trust = Trust::steady(old).offered(without_itself.clone(), start()).stepped(TERMS, start());

    assert_eq!(trust.active(), &without_itself);
}

#[test]
fn a_root_that_is_made_anew_for_its_key_signs_at_once_for_the_old_one_leads_to_it() {
    let (key, trust_domain) = (PrivateKey::generate().unwrap(), "cluster.local".parse().unwrap());
    let [old, new] = [1, 2].map(|lives| {
        let certificate = CaCertificate::self_signed(&key, &trust_domain, start(), lives * HOUR).unwrap();
        let roots = vec![certificate.der().clone()];
        KnownAuthority { certificate, roots, ..known(&root()) }
    });
    let new = with_root_of(&new, &old);

    let trust = Trust::steady(old).offered(new.clone(), start()).stepped(TERMS, start());

    assert_eq!((trust.stage(), trust.active()), (Stage::Steady, &new));
}

#[test]
fn a_key_that_the_state_has_is_kept_when_its_authority_comes_from_elsewhere_or_goes_on() {
    let key: KeyRef =
        serde_json::from_value(json!({"file": "key-0123456789abcdef0123456789abcdef.pem"})).unwrap();
    let root = root();
    let from_elsewhere = known(&root);
    let ours = KnownAuthority { key: Some(key.clone()), ..from_elsewhere.clone() };
    let trust = Trust::steady(ours);

    assert_eq!(trust.clone().offered(from_elsewhere.clone(), start()).active().key, Some(key.clone()));
    assert_eq!(trust.clone().revived(from_elsewhere).unwrap().active().key, Some(key));
    let another = known(&root.intermediate(start()));
    assert_eq!(trust.revived(another).unwrap().active().key, None, "it is not the key of this one");
}

#[test]
fn an_offer_that_is_taken_back_leaves_nothing_behind() {
    let (old, new) = (known(&root()), known(&root()));
    let trust = Trust::steady(old.clone()).offered(new, start()).offered(old.clone(), start() + HOUR);

    assert_eq!(trust, Trust::steady(old));
}

#[test]
fn the_offer_that_comes_last_counts_and_begins_its_own_overlap() {
    let (old, second, third) = (known(&root()), known(&root()), known(&root()));
    let trust = Trust::steady(old.clone()).offered(second, start()).offered(third.clone(), start() + HOUR);

    assert_eq!(roots(&trust), [&old.roots[..], &third.roots[..]].concat());
    assert_eq!(trust.next_change(TERMS), Some(start() + HOUR + TERMS.overlap));
}

#[test]
fn going_back_to_a_root_that_is_leaving_needs_no_overlap() {
    let (old, new) = (known(&root()), known(&root()));
    let then = start() + TERMS.overlap;
    let retiring = Trust::steady(old.clone()).offered(new.clone(), start()).stepped(TERMS, then);

    let back = retiring.offered(old.clone(), then + HOUR).stepped(TERMS, then + HOUR);

    assert_eq!((back.stage(), back.active()), (Stage::Retiring, &old));
    assert_eq!(back.next_change(TERMS), Some(then + HOUR + TERMS.longest_leaf), "the new one is leaving now");
}

#[test]
fn a_root_that_is_leaving_outlasts_an_offer_of_it_that_is_taken_back() {
    let (old, new) = (known(&root()), known(&root()));
    let then = start() + TERMS.overlap;
    let retiring = Trust::steady(old.clone()).offered(new.clone(), start()).stepped(TERMS, then);
    let with_the_old_root = with_root_of(&known(&root()), &old);

    let offered = retiring.clone().offered(with_the_old_root, then + HOUR).stepped(TERMS, then + HOUR);
    let taken_back = offered.offered(new, then + HOUR).stepped(TERMS, then + HOUR);

    assert_eq!(taken_back, retiring, "its last leaf is not dead yet");
}

#[test]
fn a_root_that_is_leaving_goes_on_if_the_offer_that_waits_has_it_too() {
    let (old, new) = (known(&root()), known(&root()));
    let then = start() + TERMS.overlap;
    let retiring = Trust::steady(old.clone()).offered(new, start()).stepped(TERMS, then);
    let with_the_old_root = with_root_of(&known(&root()), &old);
    let waits = retiring.offered(with_the_old_root, then).stepped(TERMS, then);
    let end = then + TERMS.longest_leaf;
    assert_eq!(waits.next_change(TERMS), Some(end));

    let later = waits.clone().stepped(TERMS, end);

    assert_eq!(roots(&later), roots(&waits));
    assert_eq!(later.next_change(TERMS), Some(then + TERMS.overlap));
}

#[test]
fn a_root_stays_for_the_leaves_of_a_longer_lifetime_that_was_configured_before() {
    let (old, new) = (known(&root()), known(&root()));
    let long = Trust::steady(old).stepped(TERMS, start());
    let shorter = Terms { longest_leaf: HOUR, overlap: MINUTE };

    let restarted = long.stepped(shorter, start() + HOUR);
    let then = start() + HOUR + MINUTE;
    let retiring = restarted.clone().offered(new.clone(), start() + HOUR).stepped(shorter, then);
    assert_eq!(retiring.next_change(shorter), Some(start() + HOUR + TERMS.longest_leaf));

    let later = start() + HOUR + TERMS.longest_leaf;
    let retiring = restarted.offered(new, later).stepped(shorter, later + MINUTE);
    assert_eq!(retiring.next_change(shorter), Some(later + MINUTE + HOUR), "all of them are dead by then");
}

#[test]
fn a_clock_that_is_behind_hurries_nothing() {
    let (old, new) = (known(&root()), known(&root()));
    let prepared = Trust::steady(old).offered(new, start()).stepped(TERMS, start());
    let retiring = prepared.clone().stepped(TERMS, start() + TERMS.overlap);
    for trust in [prepared, retiring] {
        assert_eq!(trust.clone().stepped(TERMS, UNIX_EPOCH + HOUR), trust, "as at a boot without a clock");
    }
}

#[test]
fn what_a_clock_has_noted_that_was_ahead_counts_from_the_right_time() {
    let (old, new) = (known(&root()), known(&root()));
    let ahead = start() + 1000 * HOUR;
    let prepared = Trust::steady(old).offered(new, ahead).stepped(TERMS, ahead);

    let prepared = prepared.stepped(TERMS, start());
    assert_eq!(prepared.next_change(TERMS), Some(start() + TERMS.overlap));

    let retiring = prepared.stepped(TERMS, ahead);
    let retiring = retiring.stepped(TERMS, start());
    assert_eq!(retiring.next_change(TERMS), Some(start() + TERMS.longest_leaf));
}

#[test]
fn a_root_that_is_leaving_goes_when_its_own_last_leaf_is_dead_whatever_follows_on_what_followed() {
    let [first, second, third] = [(); 3].map(|()| known(&root()));
    let terms = Terms { overlap: Duration::ZERO, ..TERMS };
    let trust = Trust::steady(first.clone()).offered(second, start()).stepped(terms, start());
    let later = start() + TERMS.longest_leaf - HOUR;
    let trust = trust.offered(third, later).stepped(terms, later);
    assert_eq!(roots(&trust).len(), 3);

    let trust = trust.stepped(terms, start() + TERMS.longest_leaf);

    assert!(!roots(&trust).contains(&first.roots[0]));
    assert_eq!(roots(&trust).len(), 2);
}

#[test]
fn without_an_overlap_the_next_signs_at_once_and_the_old_root_still_stays() {
    let terms = Terms { overlap: Duration::ZERO, ..TERMS };
    let (old, new) = (known(&root()), known(&root()));

    let trust = Trust::steady(old.clone()).offered(new.clone(), start()).stepped(terms, start());

    assert_eq!((trust.stage(), trust.active()), (Stage::Retiring, &new));
    assert_eq!(roots(&trust), [&old.roots[..], &new.roots[..]].concat());
}

#[test]
fn an_authority_that_cannot_sign_any_more_is_followed_as_soon_as_agents_can_have_the_root() {
    let (old, new) = (known(&root()), known(&root()));
    let trust = Trust::steady(old.clone()).offered(new.clone(), start());

    assert_eq!(trust.next_change(TERMS.hastened()), Some(start() + 3 * MINUTE));
    assert_eq!(trust.clone().stepped(TERMS.hastened(), start() + 2 * MINUTE).active(), &old);
    assert_eq!(trust.stepped(TERMS.hastened(), start() + 3 * MINUTE).active(), &new);
}

#[test]
fn a_root_that_is_signed_under_already_needs_no_further_overlap_however_soon_it_came() {
    let (old, new) = (known(&root()), root());
    let (then, next) = (start() + 3 * MINUTE, known(&new.intermediate(start())));
    let trust = Trust::steady(old).offered(known(&new), start()).stepped(TERMS.hastened(), then);

    let trust = trust.offered(next.clone(), then).stepped(TERMS, then);

    assert_eq!(trust.active(), &next);
}

#[test]
fn a_shorter_overlap_that_is_configured_meanwhile_counts() {
    let (old, new) = (known(&root()), known(&root()));
    let trust = Trust::steady(old).offered(new.clone(), start());

    let trust = trust.stepped(Terms { overlap: HOUR, ..TERMS }, start() + HOUR);

    assert_eq!(trust.active(), &new);
}

/// Three roots, an intermediate under each, and the first with the second's root beside its own.
static OFFERS: LazyLock<Vec<KnownAuthority>> = LazyLock::new(|| {
    let roots = [root(), root(), root()];
    let mut offers: Vec<_> =
        roots.iter().flat_map(|root| [known(root), known(&root.intermediate(start()))]).collect();
    offers.push(with_root_of(&offers[0], &offers[2]));
    offers
});

#[derive(Debug, Clone)]
enum Event {
    Offer(usize),
    Wait(Duration),
    LoseTheActive,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0..OFFERS.len()).prop_map(Event::Offer),
        4 => (0_u64..40 * 3600).prop_map(|seconds| Event::Wait(Duration::from_secs(seconds))),
        1 => Just(Event::LoseTheActive),
    ];
    prop::collection::vec(event, 1..40)
}

proptest! {
    /// What it is all for. Time passes in steps of a minute at most, as the driver lets it.
    #[test]
    fn no_proxy_is_asked_to_trust_a_leaf_before_its_root_and_no_root_leaves_before_its_leaves(events in events()) {
        let mut now = start();
        let mut trust = Trust::steady(OFFERS[0].clone());
        let mut history = History::beginning_with(&trust, now);
        for event in events {
            match event {
                Event::Offer(number) => trust = trust.offered(OFFERS[number].clone(), now),
                Event::Wait(time) => {
                    let end = now + time;
                    while now < end {
                        let due = trust.next_change(history.terms()).filter(|due| *due > now);
                        now = due.unwrap_or(end).min(end);
                        trust = trust.stepped(history.terms(), now);
                        history.check(&trust, now)?;
                    }
                }
                Event::LoseTheActive => history.signs = false,
            }
            trust = trust.stepped(history.terms(), now);
            history.check(&trust, now)?;
        }
    }
}

/// What an observer has seen.
struct History {
    /// Since when each root is in the bundle without a break; as if long enough, once leaves were signed under it.
    published: HashMap<Root, SystemTime>,
    /// When leaves were last signed under each.
    signed: HashMap<Root, SystemTime>,
    active: KnownAuthority,
    signs: bool,
}

impl History {
    fn beginning_with(trust: &Trust, now: SystemTime) -> Self {
        let published = trust.roots().map(|root| (root.clone(), now - TERMS.overlap)).collect();
        let mut history =
            Self { published, signed: HashMap::new(), active: trust.active().clone(), signs: true };
        history.check(trust, now).unwrap();
        history
    }

    fn terms(&self) -> Terms {
        if self.signs { TERMS } else { TERMS.hastened() }
    }

    fn check(&mut self, trust: &Trust, now: SystemTime) -> Result<(), TestCaseError> {
        let bundle = roots(trust);
        self.published.retain(|root, _| bundle.contains(root));
        for root in &bundle {
            self.published.entry(root.clone()).or_insert(now);
        }
        let anchors: Vec<_> = trust.active().anchors().into_iter().cloned().collect();
        if self.active != *trust.active() {
            let had = self.terms().overlap;
            let travelled = |root: &Root| self.published[root] + had <= now;
            prop_assert!(anchors.iter().any(travelled), "leaves under a root that has not travelled");
            (self.active, self.signs) = (trust.active().clone(), true);
        }
        if self.signs {
            self.published.extend(anchors.iter().map(|root| (root.clone(), now - TERMS.overlap)));
            self.signed.extend(anchors.into_iter().map(|root| (root, now)));
        }
        self.signed.retain(|_, last| now < *last + TERMS.longest_leaf);
        for root in self.signed.keys() {
            prop_assert!(bundle.contains(root), "a root has left before its last leaf was dead");
        }
        Ok(())
    }
}
