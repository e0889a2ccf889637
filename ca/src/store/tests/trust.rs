//! Authorities that come from elsewhere, and those that wait.

use signet_identity::testing::TestAuthority;

use super::*;
use crate::trust::Terms;

#[test]
fn all_of_trust_is_there_after_a_restart() {
    let scene = Scene::new();
    let (now, overlap) = (start(), Duration::from_secs(3600));
    let terms = Terms { overlap, longest_leaf: 2 * overlap };
    let known = |authority: &TestAuthority, beside: &TestAuthority| KnownAuthority {
        origin: Origin::Injected,
        certificate: authority.certificate().clone(),
        intermediates: authority.intermediates().to_vec(),
        roots: [authority.bundle().authorities(), beside.bundle().authorities()].concat(),
        key: None,
    };
    let [old, active, beside] = [(); 3].map(|()| TestAuthority::new("cluster.local", now));
    let settings = StoreSettings { origin: Origin::Injected, ..scene.settings("cluster.local") };
    let mut store = DirectoryStore::open(&settings, now).unwrap();
    let (own, _key) = store.local_root(TEN_YEARS, now).unwrap();
    let trust = Trust::steady(known(&old, &old))
        .offered(known(&active.intermediate(now), &beside), now)
        .stepped(terms, now + overlap)
        .offered(own, now + overlap);
    store.commit(trust.clone(), now).unwrap();
    drop(store);

    let store = DirectoryStore::open(&settings, now).unwrap();

    assert!(trust.next().is_some() && trust.roots().count() == 4);
    assert_eq!(store.held().unwrap().trust, trust);
    drop(store);

    let state = fs::read_to_string(scene.file("state.json")).unwrap();
    for (key, refused) in [("../key-", true), ("key-", false)] {
        let state = state.replace("key-", key);
        files::write_atomically(&scene.file("state.json"), state.as_bytes(), 0o600).unwrap();
        let outcome = DirectoryStore::open(&settings, now).map(drop);
        assert_eq!(matches!(outcome, Err(StoreError::Corrupt { .. })), refused, "{key}: {outcome:?}");
    }

    fs::remove_file(scene.key_file()).unwrap();
    let refused = DirectoryStore::open(&settings, now).unwrap_err();
    assert!(matches!(refused, StoreError::KeyLost { .. }), "the one that waits needs it: {refused}");
}

#[test]
fn an_authority_from_elsewhere_that_is_over_keeps_no_ca_from_starting() {
    let now = start() + Duration::from_secs(11 * 365 * 86_400);
    for (origin, starts) in [(Origin::Local, false), (Origin::Injected, true)] {
        let scene = Scene::started();
        let settings = StoreSettings { origin, ..scene.settings("cluster.local") };
        assert_eq!(DirectoryStore::open(&settings, now).is_ok(), starts, "{origin:?} is to follow");
    }
    let scene = Scene::new();
    let settings = scene.settings("cluster.local");
    let mut store = DirectoryStore::open(&settings, start()).unwrap();
    let (root, _key) = store.local_root(TEN_YEARS, start()).unwrap();
    let elsewhere = KnownAuthority { origin: Origin::Injected, key: None, ..root.clone() };
    let other = TestAuthority::new("cluster.local", start());
    let certificate = other.certificate();
    let other = KnownAuthority {
        certificate: certificate.clone(),
        roots: vec![certificate.der().clone()],
        ..elsewhere.clone()
    };
    for trust in [Trust::steady(root).offered(other, start()), Trust::steady(elsewhere)] {
        store.commit(trust, start()).unwrap();
        drop(store);
        store = DirectoryStore::open(&settings, now).unwrap();
    }
}
