//! The audit log against real files, devices and limits.

use std::{fs, io::Write, process::Command, time::Duration};

use signet_identity::ManualClock;

use super::{testing::LogOnDisk, *};

fn refused<'a>(request_id: &'a str, reason: &'a str) -> Record<'a> {
    Record::Refused { request_id, requester: &Requester::Authority, reason }
}

fn failed(request_id: &str) -> Record<'_> {
    Record::Failed { request_id, reason: "because" }
}

#[tokio::test]
async fn a_record_is_in_the_file_when_it_is_acknowledged() {
    let scene = LogOnDisk::new();
    let log = scene.open();

    log.record(&refused("r-1", "no")).await.unwrap();

    let line = scene.lines().pop().unwrap();
    assert_eq!((&line["event"], &line["request_id"]), (&"refused".into(), &"r-1".into()));
    assert_eq!(line["time"], "2027-01-15T08:00:00.000Z");
}

#[tokio::test]
async fn hostile_text_stays_on_its_line() {
    let scene = LogOnDisk::new();
    let log = scene.open();
    let hostile = "no\"}\n{\"event\":\"issued\",\"request_id\":\"forged\"}\r\u{2028}\0";

    log.record(&refused(hostile, hostile)).await.unwrap();

    assert_eq!(scene.events(), ["started", "refused"]);
    assert_eq!(scene.lines()[1]["reason"], hostile);
}

#[tokio::test]
async fn a_full_disk_fails_every_record_and_says_why() {
    let scene = LogOnDisk::new();
    scene.fill_disk();
    let log = scene.open();

    let unavailable = log.record(&refused("r-1", "no")).await.unwrap_err();

    assert!(unavailable.to_string().contains("audit.log"), "{unavailable}");
    let cause = std::error::Error::source(&unavailable).unwrap().to_string();
    assert!(cause.contains("No space left on device"), "{cause}");
    assert!(log.state().borrow().is_err());
}

#[tokio::test]
async fn a_log_that_can_be_written_again_serves_the_next_record() {
    let scene = LogOnDisk::new();
    let log = scene.open();
    scene.fill_disk();
    log.record(&refused("lost-1", "no")).await.unwrap_err();
    scene.clock.advance(Duration::from_secs(60));
    log.record(&refused("lost-2", "no")).await.unwrap_err();
    scene.free_disk();

    log.record(&refused("r-3", "no")).await.unwrap();

    assert!(log.state().borrow().is_ok());
    let lines = scene.lines();
    assert_eq!(scene.events(), ["started", "resumed", "refused"]);
    assert_eq!(
        (&lines[1]["since"], &lines[1]["refused_records"]),
        (&"2027-01-15T08:00:00.000Z".into(), &2.into())
    );
}

#[tokio::test]
async fn a_log_mends_itself_though_no_record_comes() {
    let scene = LogOnDisk::new();
    scene.fill_disk();
    let log = scene.open();
    let mut state = log.state();
    assert!(state.borrow_and_update().is_err());
    scene.free_disk();

    let mended = tokio::time::timeout(Duration::from_secs(30), state.wait_for(Result::is_ok)).await;
    mended.expect("nothing tried to write").unwrap();

    assert_eq!(scene.events(), ["started", "resumed"]);
}

#[tokio::test]
async fn an_outcome_that_could_not_be_written_is_written_first() {
    let scene = LogOnDisk::new();
    let log = scene.open();
    scene.fill_disk();
    log.record(&failed("r-1")).await.unwrap_err();
    log.record(&refused("r-2", "no")).await.unwrap_err();
    scene.free_disk();

    log.record(&refused("r-3", "no")).await.unwrap();

    assert_eq!(scene.events(), ["started", "failed", "resumed", "refused"]);
    assert_eq!(scene.lines()[1]["request_id"], "r-1");
}

#[tokio::test]
async fn what_a_crash_left_open_is_closed_at_start_and_only_once() {
    let scene = LogOnDisk::new();
    let signing = |id| format!("{{\"event\":\"signing\",\"request_id\":\"{id}\"}}\n");
    let crashed =
        signing("a") + &signing("b") + "{\"event\":\"issued\",\"request_id\":\"a\"}\n{\"event\":\"iss";
    fs::write(scene.path(), crashed).unwrap();

    drop(scene.open());
    drop(scene.open());

    assert_eq!(
        scene.events(),
        ["signing", "signing", "issued", "torn", "abandoned", "started", "started"],
        "{:#?}",
        scene.lines()
    );
    assert_eq!(scene.lines()[4]["request_id"], "b");
    assert_eq!(scene.lines()[3]["bytes"], 13);
}

#[tokio::test]
async fn an_outcome_after_a_rotation_stands_in_the_new_file_and_a_start_leaves_the_old_alone() {
    let scene = LogOnDisk::new();
    let rotated = scene.directory.path().join("audit.log.1");
    let intents =
        ["a", "b"].map(|id| format!("{{\"event\":\"signing\",\"request_id\":\"{id}\"}}\n")).concat();
    let log = scene.open();
    fs::File::options().append(true).open(scene.path()).unwrap().write_all(intents.as_bytes()).unwrap();
    let before = fs::read(scene.path()).unwrap();
    fs::rename(scene.path(), &rotated).unwrap();

    log.record(&failed("a")).await.unwrap();
    drop(log);
    drop(scene.open());

    assert_eq!(scene.events(), ["failed", "started"], "the outcome of `a`, and a start that knows of no `b`");
    assert_eq!(fs::read(rotated).unwrap(), before);
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_remedy() {
    let scene = LogOnDisk::new();
    let _log = scene.open();
    let settings =
        AuditSettings { path: scene.path(), durability: Durability::OperatingSystem, max_waiting: 1 };

    let refused = AuditLog::open(settings, Arc::clone(&scene.clock) as _).err().unwrap();

    let refused = signet_runtime::telemetry::chain(&refused).to_string();
    assert!(refused.contains("a log of its own: another process writes it"), "{refused}");
    assert_eq!(scene.events(), ["started"]);
}

#[test]
fn a_path_that_cannot_be_opened_is_refused_with_the_remedy() {
    let path = PathBuf::from("/nowhere/at/all/audit.log");
    let settings = AuditSettings { path, durability: Durability::Disk, max_waiting: 1 };
    let clock = Arc::new(ManualClock::at(std::time::UNIX_EPOCH));

    let refused = AuditLog::open(settings, clock).err().unwrap();

    assert!(refused.to_string().contains("must exist and be writable"), "{refused}");
}

/// Starts itself again in a process whose files may not grow beyond a few KiB.
#[tokio::test]
async fn half_a_line_on_a_full_file_system_is_taken_back() {
    if rustix::process::getrlimit(rustix::process::Resource::Fsize).current.is_none() {
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg("audit::tests::half_a_line_on_a_full_file_system_is_taken_back")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let scene = LogOnDisk::new();
    let log = scene.open();
    let mut written = 1;
    while log.record(&refused("r", &"x".repeat(300))).await.is_ok() {
        written += 1;
    }

    let content = fs::read_to_string(scene.path()).unwrap();
    assert!(content.ends_with("}\n"), "half a line stands at the end: {content}");
    assert_eq!(content.lines().count(), written);

    fs::rename(scene.path(), scene.directory.path().join("audit.log.1")).unwrap();
    log.record(&refused("r", "no")).await.unwrap();
    assert_eq!(scene.events(), ["resumed", "refused"]);
}
