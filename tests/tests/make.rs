//! What is said on the last line of a `make` target, even when it cannot begin.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

#[test]
fn a_target_that_lacks_a_program_ends_with_a_sum() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (target, program) in [
        ("demo", "ENVOY"),
        ("demo-vault", "ENVOY"),
        ("demo-vault", "VAULT_BIN"),
        ("test", "ENVOY"),
        ("test", "VAULT_BIN"),
    ] {
        let made = Command::new("make")
            .args(["--no-print-directory", target])
            .env(program, "/there/is/none")
            .current_dir(root)
            .output()
            .unwrap();
        assert!(!made.status.success(), "{target} without {program}");
        let said = String::from_utf8(made.stdout).unwrap();
        assert_eq!(said.lines().next_back(), Some("0 passed, 1 failed"), "{target} without {program}");
        let why = String::from_utf8(made.stderr).unwrap();
        assert!(why.contains(&format!("{program}=/there/is/none is not a program")), "{target}: {why}");
    }
}
