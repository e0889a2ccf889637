use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    pin::pin,
};

use rustls_pki_types::CertificateDer;
use signet_runtime::testing::TokioClock;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::injected::{
    settling::{GRACE, QUIET},
    testing::{Ca, DAY, Files, Pki, now, write},
};

const MIN_REMAINING: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_secs(10);

/// So that whatever is noticed was an event.
const NO_POLL: Duration = Duration::from_secs(100 * 86_400);

fn watch(directory: &Path, poll: Duration) -> Watch {
    let config = WatchConfig { directory: directory.to_owned(), poll, min_remaining: MIN_REMAINING };
    Watch::new(config, Arc::new(TokioClock::starting_at(now())))
}

/// Without events.
fn blind(directory: &Path) -> Watch {
    Watch { eyes: None, ..watch(directory, POLL) }
}

/// The signer that is told next, or the faults.
type Told = Result<CertificateDer<'static>, String>;

/// What is told next, soon.
async fn told(watch: &mut Watch) -> Told {
    told_after(watch, || {}).await
}

/// What is told when `change` is made while the watch rests.
async fn told_after(watch: &mut Watch, change: impl FnOnce()) -> Told {
    let mut next = pin!(watch.next());
    let told = match timeout(QUIET / 2, &mut next).await {
        Ok(told) => told,
        Err(_resting) => {
            change();
            timeout(Duration::from_secs(60), next).await.expect("nothing is told")
        }
    };
    told.map(|set| set.certificate.der().clone()).map_err(|faults| faults.to_string())
}

fn assert_faults(told: Told, part: &str) {
    let faults = told.unwrap_err();
    assert!(faults.contains(part), "{faults}");
}

fn signer(pki: &Pki) -> Told {
    Ok(pki.signer.der.clone())
}

async fn nothing_is_told(watch: &mut Watch) {
    let told = timeout(Duration::from_secs(300), watch.next()).await;
    assert!(told.is_err(), "{told:?}");
}

/// A directory inside another, so that it can be removed, with these files.
struct Place {
    _parent: TempDir,
    directory: PathBuf,
}

impl Place {
    fn with(files: &Files) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("cacerts");
        fs::create_dir(&directory).unwrap();
        write(&directory, files);
        Self { _parent: parent, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// A mounted Secret, written as the kubelet does.
struct Volume {
    place: Place,
    generation: usize,
}

impl Volume {
    fn with(files: &Files) -> Self {
        let mut volume = Self { place: Place::with(&Files::new()), generation: 0 };
        volume.swap(files);
        for name in files.keys() {
            symlink(format!("..data/{name}"), volume.place.path(name)).unwrap();
        }
        volume
    }

    fn swap(&mut self, files: &Files) {
        let generation = |number: usize| format!("..2026_11_28_{number}");
        let (old, new) = (generation(self.generation), generation(self.generation + 1));
        fs::create_dir(self.place.path(&new)).unwrap();
        write(&self.place.path(&new), files);
        symlink(&new, self.place.path("..data_tmp")).unwrap();
        fs::rename(self.place.path("..data_tmp"), self.place.path("..data")).unwrap();
        let _none_at_first = fs::remove_dir_all(self.place.path(&old));
        self.generation += 1;
    }
}

#[tokio::test]
async fn what_is_there_is_told_at_first() {
    let pki = Pki::new();
    let place = Place::with(&pki.cacerts());
    assert_eq!(told(&mut watch(&place.directory, NO_POLL)).await, signer(&pki));
}

#[tokio::test]
async fn a_swap_of_a_mounted_secret_is_noticed() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let mut volume = Volume::with(&old.tls());
    let mut watch = watch(&volume.place.directory, NO_POLL);
    assert_eq!(told(&mut watch).await, signer(&old));
    for pki in [&new, &old, &new] {
        assert_eq!(told_after(&mut watch, || volume.swap(&pki.tls())).await, signer(pki));
    }
}

#[tokio::test]
async fn files_that_an_editor_replaces_one_by_one_are_noticed() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let place = Place::with(&old.cacerts());
    let mut watch = watch(&place.directory, NO_POLL);
    assert_eq!(told(&mut watch).await, signer(&old));
    let replace = || {
        for (name, content) in new.cacerts() {
            fs::write(place.path(".swp"), content).unwrap();
            fs::rename(place.path(".swp"), place.path(name)).unwrap();
        }
    };

    assert_eq!(told_after(&mut watch, replace).await, signer(&new));
}

#[tokio::test]
async fn files_that_are_written_over_are_noticed() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let place = Place::with(&old.cacerts());
    let mut watch = watch(&place.directory, NO_POLL);
    assert_eq!(told(&mut watch).await, signer(&old));
    let overwrite = || write(&place.directory, &new.cacerts());

    assert_eq!(told_after(&mut watch, overwrite).await, signer(&new));
}

#[tokio::test]
async fn a_directory_that_is_removed_and_made_anew_is_noticed_each_time() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let place = Place::with(&old.cacerts());
    let mut watch = watch(&place.directory, NO_POLL);
    assert_eq!(told(&mut watch).await, signer(&old));
    for pki in [&new, &old] {
        let remove = || fs::remove_dir_all(&place.directory).unwrap();
        assert_faults(told_after(&mut watch, remove).await, "No such file");
        let make_anew = || {
            fs::create_dir(&place.directory).unwrap();
            write(&place.directory, &pki.cacerts());
        };
        assert_eq!(told_after(&mut watch, make_anew).await, signer(pki));
    }
}

#[tokio::test]
async fn a_directory_whose_place_another_takes_is_noticed_and_followed() {
    let [first, second, third] = [(); 3].map(|()| Pki::new());
    let place = Place::with(&first.cacerts());
    let mut watch = watch(&place.directory, NO_POLL);
    assert_eq!(told(&mut watch).await, signer(&first));
    let other = place.directory.with_file_name("other");
    fs::create_dir(&other).unwrap();
    write(&other, &second.cacerts());
    let take_its_place = || {
        fs::rename(&place.directory, place.directory.with_file_name("old")).unwrap();
        fs::rename(&other, &place.directory).unwrap();
    };
    assert_eq!(told_after(&mut watch, take_its_place).await, signer(&second));

    let overwrite = || write(&place.directory, &third.cacerts());
    assert_eq!(told_after(&mut watch, overwrite).await, signer(&third));
}

/// No event tells of it, but what comes after is noticed by events again.
#[tokio::test]
async fn a_directory_that_comes_with_another_parent_is_followed_after_the_next_poll() {
    let [first, second, third] = [(); 3].map(|()| Pki::new());
    let grandparent = tempfile::tempdir().unwrap();
    let at = |parent: &str| grandparent.path().join(parent).join("cacerts");
    for (parent, pki) in [("current", &first), ("next", &second)] {
        fs::create_dir_all(at(parent)).unwrap();
        write(&at(parent), &pki.cacerts());
    }
    let mut watch = watch(&at("current"), Duration::from_millis(200));
    assert_eq!(told(&mut watch).await, signer(&first));
    let rename = |from, to| fs::rename(grandparent.path().join(from), grandparent.path().join(to)).unwrap();
    let replace_the_parent = || {
        rename("current", "last");
        rename("next", "current");
    };
    assert_eq!(told_after(&mut watch, replace_the_parent).await, signer(&second));
    watch.config.poll = NO_POLL;

    let overwrite = || write(&at("current"), &third.cacerts());

    assert_eq!(told_after(&mut watch, overwrite).await, signer(&third));
}

#[tokio::test]
async fn swaps_in_quick_succession_never_show_a_mixture() {
    let sets = [(); 2].map(|()| Pki::new());
    let mut volume = Volume::with(&sets[0].cacerts());
    let mut watch = watch(&volume.place.directory, NO_POLL);
    assert_eq!(told(&mut watch).await, signer(&sets[0]));
    let directory = volume.place.directory.clone();
    let reading = spawn_blocking(move || {
        let judged = (0..200).map(|_| judge(&Snapshot::take(&directory), now(), Duration::ZERO));
        judged.filter_map(|judged| judged.err().map(|faults| faults.to_string())).collect::<Vec<_>>()
    });
    let swapping = spawn_blocking(move || {
        for number in 0..200 {
            volume.swap(&sets[number % 2].cacerts());
        }
        (volume, sets)
    });
    let (_volume, [_, last]) = swapping.await.unwrap();

    assert_eq!(told(&mut watch).await, signer(&last));
    // The old generation is removed while it is read: then files are missing, but never of two sets.
    for faults in reading.await.unwrap() {
        assert!(!faults.contains("another key") && !faults.contains("not signed by"), "{faults}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_events_the_poll_notices() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let place = Place::with(&old.cacerts());
    let mut watch = blind(&place.directory);
    assert_eq!(told(&mut watch).await, signer(&old));
    let before = Instant::now();
    let overwrite = || write(&place.directory, &new.cacerts());

    assert_eq!(told_after(&mut watch, overwrite).await, signer(&new));

    let took = before.elapsed();
    assert!(POLL <= took && took <= POLL + 2 * QUIET, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_not_told_again() {
    let place = Place::with(&Pki::new().cacerts());
    let mut watch = blind(&place.directory);
    assert!(told(&mut watch).await.is_ok());
    nothing_is_told(&mut watch).await;

    fs::remove_file(place.path("ca-key.pem")).unwrap();
    assert_faults(told(&mut watch).await, "1 fault. ca-key.pem");
    nothing_is_told(&mut watch).await;

    fs::remove_file(place.path("root-cert.pem")).unwrap();
    assert_faults(told(&mut watch).await, "2 faults.");
    nothing_is_told(&mut watch).await;
}

/// Each file in two pieces, and a pause after each.
async fn copy_slowly(directory: &Path, files: &Files, pause: Duration) {
    for (name, content) in files {
        let (half, _rest) = content.split_at(content.len() / 2);
        for piece in [half, content] {
            write(directory, &Files::from([(*name, piece.to_owned())]));
            sleep(pause).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_copy_is_told_when_it_is_whole_and_is_no_fault_before() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let place = Place::with(&old.cacerts());
    let mut watch = blind(&place.directory);
    watch.config.poll = Duration::from_millis(50);
    assert_eq!(told(&mut watch).await, signer(&old));
    let files = new.cacerts();
    let copying = copy_slowly(&place.directory, &files, GRACE / 2);

    let (told, ()) = tokio::join!(told(&mut watch), copying);

    assert_eq!(told, signer(&new));
    watch.config.poll = POLL;
    nothing_is_told(&mut watch).await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_stops_half_way_is_a_fault_until_it_goes_on() {
    let [old, new] = [(); 2].map(|()| Pki::new());
    let place = Place::with(&old.cacerts());
    let mut watch = blind(&place.directory);
    assert_eq!(told(&mut watch).await, signer(&old));

    write(&place.directory, &Files::from([("ca-cert.pem", new.signer.pem())]));
    assert_faults(told(&mut watch).await, "ca-key.pem: holds another key");

    write(&place.directory, &new.cacerts());
    assert_eq!(told(&mut watch).await, signer(&new));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_missing_for_a_moment_is_not_told_of() {
    let pki = Pki::new();
    let place = Place::with(&pki.cacerts());
    let mut watch = blind(&place.directory);
    watch.config.poll = Duration::from_millis(50);
    assert!(told(&mut watch).await.is_ok());
    fs::remove_file(place.path("ca-key.pem")).unwrap();
    let back = async {
        sleep(GRACE - QUIET).await;
        write(&place.directory, &pki.cacerts());
    };

    let (told, ()) = tokio::join!(timeout(2 * GRACE, watch.next()), back);

    assert!(told.is_err(), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn time_alone_can_mend_a_fault_and_the_end_of_a_good_set_is_not_told() {
    let root = Ca::root("root");
    let signer = root.below_with("signer", |params| {
        params.not_before = (now() + DAY).into();
        params.not_after = (now() + 2 * DAY).into();
    });
    let files =
        Files::from([("tls.crt", signer.pem()), ("tls.key", signer.key.clone()), ("ca.crt", root.pem())]);
    let place = Place::with(&files);
    let mut watch = blind(&place.directory);
    watch.config.poll = Duration::from_secs(3600);
    assert_faults(told(&mut watch).await, "is not valid before");

    let set = timeout(DAY + 2 * watch.config.poll, watch.next()).await.unwrap().unwrap();
    assert_eq!(set.certificate.der(), &signer.der);

    let told = timeout(10 * DAY, watch.next()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_cancelled_call_has_not_told_the_next_one_tells() {
    let pki = Pki::new();
    let place = Place::with(&pki.cacerts());
    let mut watch = blind(&place.directory);
    for _ in 0..2 {
        assert!(timeout(QUIET / 2, watch.next()).await.is_err());
    }
    assert_eq!(told(&mut watch).await, signer(&pki));
}

#[tokio::test(start_paused = true)]
async fn the_first_set_may_end_soon_and_none_that_follows_on_it() {
    let ends_soon = |name| {
        let mut pki = Pki::new();
        let end = now() + MIN_REMAINING - Duration::from_secs(1);
        pki.signer = pki.between.below_with(name, |params| params.not_after = end.into());
        pki
    };
    let (first, second) = (ends_soon("first"), ends_soon("second"));
    let mut volume = Volume::with(&first.cacerts());
    let mut watch = watch(&volume.place.directory, POLL);

    assert_eq!(told(&mut watch).await, signer(&first));

    assert_faults(told_after(&mut watch, || volume.swap(&second.cacerts())).await, "ca-cert.pem");
}
