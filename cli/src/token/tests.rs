//! The command as it is typed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;
use signet_identity::jwt::{Jwks, TokenRules, verify};

use super::*;
use crate::output::Format;

#[test]
fn a_minted_token_verifies_under_the_printed_keys() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("issuer");
    let token =
        run(&["mint", "--namespace", "shop", "--service-account", "orders", "--pod", "orders-1"], &keys);
    let jwks = Jwks::from_json(run(&["jwks"], &keys).as_bytes()).unwrap();
    let rules = TokenRules {
        issuer: DEVELOPMENT_ISSUER.to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        leeway: Duration::ZERO,
    };

    let verified = verify(token.trim(), &jwks, &rules, SystemClock.now()).unwrap();

    assert_eq!(verified.subject(), "system:serviceaccount:shop:orders");
    assert_eq!(verified.kubernetes().unwrap().pod.name.as_deref(), Some("orders-1"));
    assert!(jwks.is_development(), "a CA must be able to tell");
}

#[test]
fn the_key_is_kept_private_and_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("issuer");
    assert!(notes(&["mint"], &keys).contains("made a new issuer's key in"));
    let jwks = run(&["jwks"], &keys);
    assert_eq!(notes(&["mint"], &keys), "");
    assert_eq!(run(&["jwks"], &keys), jwks);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    assert_eq!(mode(&keys.join("development-issuer.key")), 0o600);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("issuer");
    run(&["mint"], &keys);
    fs::set_permissions(keys.join("development-issuer.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = try_run(&["mint"], &keys).unwrap_err();
    assert!(format!("{error:#}").contains("chmod 0600"), "{error:#}");
}

#[test]
fn keys_are_shown_only_where_a_token_was_minted() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("typo");
    let error = try_run(&["jwks"], &keys).unwrap_err();
    assert!(error.to_string().contains("signet token mint --keys"), "{error:#}");
    assert!(!keys.exists(), "made by looking");
}

#[test]
fn what_no_workload_can_have_is_refused_and_makes_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("issuer");
    for (arguments, reason) in [
        (["mint", "--namespace", "a/b"], "do not name a workload"),
        (["mint", "--service-account", ""], "do not name a workload"),
        (["mint", "--lifetime", "0s"], "Give 1s or more"),
        (["mint", "--lifetime", "999ms"], "Give 1s or more"),
    ] {
        let error = try_run(&arguments, &keys).unwrap_err();
        assert!(error.to_string().contains(reason), "{arguments:?}: {error:#}");
        assert!(!keys.exists(), "{arguments:?}");
    }
}

#[test]
fn a_token_is_shown_with_times_that_a_person_can_read() {
    // {"alg":"none"} . {"iss":"https://a.example","exp":1000000000,"aud":["b"]} .
    let token =
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsImV4cCI6MTAwMDAwMDAwMCwiYXVkIjpbImIiXX0.\n";
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000_090);

    let shown = Inspection::of(token).unwrap().at(now).to_string();

    for line in [
        "  alg  none",
        "  exp  2001-09-09T01:46:40Z (1m 30s ago)",
        "  iss  https://a.example",
        "  aud  [\"b\"]",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is not in:\n{shown}");
    }
    assert!(shown.starts_with("Not verified"));
}

#[test]
fn a_person_is_told_at_once_whether_a_token_is_good_by_its_times() {
    for (claims, standing) in [
        (r#"{"nbf":0,"exp":1000}"#, "expired 0s ago"),
        (r#"{"nbf":2000,"exp":940}"#, "expired 1m ago"),
        (r#"{"nbf":1001,"exp":2000}"#, "is not yet valid: in 1s"),
        (r#"{"nbf":1000,"exp":1001}"#, "is valid for 1s"),
        (r#"{"nbf":1000.5,"exp":1002.5}"#, "is not yet valid: in 0s"),
        (r#"{"nbf":999.5,"exp":1002.5}"#, "is valid for 2s"),
        (r#"{"nbf":0,"exp":999.5}"#, "expired 0s ago"),
        (r#"{"nbf":0,"exp":1e12}"#, "is valid for 31688years 1month 1day 14h 56m 24s"),
        (r#"{"exp":4600}"#, "has no start (`nbf`) that is understood, and signet-ca refuses it"),
        (r#"{"nbf":-1,"exp":4600}"#, "has no start (`nbf`) that is understood, and signet-ca refuses it"),
        (r#"{"nbf":0,"exp":1e30}"#, "has no end (`exp`) that is understood, and signet-ca refuses it"),
        ("{}", "has no end (`exp`) that is understood, and signet-ca refuses it"),
    ] {
        let token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
        let shown = Inspection::of(&token).unwrap().at(UNIX_EPOCH + Duration::from_secs(1000)).to_string();
        assert!(shown.contains(&format!("By its own times it {standing}.\n")), "{claims}: {shown}");
    }
}

#[test]
fn what_is_no_token_is_named() {
    for (token, reason) in
        [("abc", "no dots"), ("a.b.c", "header"), ("e30.b.c", "claims"), ("e30.W10.c", "claims")]
    {
        let error = Inspection::of(token).unwrap_err();
        assert!(error.to_string().contains(reason), "{token}: {error}");
    }
}

#[test]
fn a_time_is_shown_as_the_ca_reads_it() {
    for (exp, shown) in [
        ("1000.5", "1970-01-01T00:16:40Z (in 16m 40s)"),
        ("253402300799", "9999-12-31T23:59:59Z"),
        ("253402300800", "beyond the year 9999 (in "),
        ("18446744073709551615", "18446744073709551615\n"),
        ("-1", "-1\n"),
        ("\"1000\"", "1000\n"),
    ] {
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"));
        let inspected = Inspection::of(&format!("e30.{claims}.x")).unwrap().at(UNIX_EPOCH).to_string();
        assert!(inspected.contains(&format!("  exp  {shown}")), "{exp}: {inspected}");
    }
}

/// The CA decides by `jwt::verify`: what is said here must be what happens there, to the second and its fractions.
#[test]
fn a_token_that_is_called_good_is_one_whose_times_the_ca_accepts() {
    let issuer = tempfile::tempdir().unwrap();
    let keys = issuer.path().join("issuer");
    run(&["mint"], &keys);
    let key = key_directory::open(&keys).unwrap();
    let development = DevelopmentIssuer::new(key, DEVELOPMENT_ISSUER.to_owned());
    let jwks = Jwks::from_json(development.jwks_json().as_bytes()).unwrap();
    let rules = TokenRules {
        issuer: DEVELOPMENT_ISSUER.to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        leeway: Duration::ZERO,
    };
    let minted_at = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let request = TokenRequest {
        namespace: "shop".to_owned(),
        service_account: "orders".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        lifetime: Duration::from_secs(60),
        pod: Pod::default(),
    };
    let token = development.mint(&request, minted_at).unwrap();
    for millis in [-1_000, -1, 0, 1, 59_999, 60_000, 60_001, 3_600_000_i64] {
        let offset = Duration::from_millis(millis.unsigned_abs());
        let now = if millis < 0 { minted_at - offset } else { minted_at + offset };
        let called_good = Inspection::of(&token).unwrap().at(now).is_good();
        assert_eq!(
            called_good,
            verify(&token, &jwks, &rules, now).is_ok(),
            "{millis} ms after it was minted"
        );
    }
}

#[test]
fn a_script_gets_the_claims_and_whether_the_times_are_good() {
    let token = format!("Bearer e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"nbf":0,"exp":1000,"aud":["a"]}"#));
    for (now, held, standing) in [(999, true, "valid"), (1000, false, "expired")] {
        let seen = Inspection::of(&token).unwrap().at(UNIX_EPOCH + Duration::from_secs(now));
        let json = serde_json::to_value(&seen).unwrap();
        assert_eq!(
            (&json["held"], &json["standing"], &json["verified"]),
            (&held.into(), &standing.into(), &false.into())
        );
        assert_eq!(json["claims"]["aud"][0], "a");
    }
}

fn run(arguments: &[&str], keys: &Path) -> String {
    try_run(arguments, keys).unwrap()
}

fn try_run(arguments: &[&str], keys: &Path) -> Result<String> {
    written(arguments, keys).map(|(output, _notes)| output)
}

fn notes(arguments: &[&str], keys: &Path) -> String {
    written(arguments, keys).unwrap().1
}

/// What is written to either output.
fn written(arguments: &[&str], keys: &Path) -> Result<(String, String)> {
    #[derive(Parser)]
    struct Token {
        #[command(subcommand)]
        command: TokenCommand,
    }
    let mut line = vec!["token"];
    line.extend(arguments);
    line.extend(["--keys", keys.to_str().unwrap()]);
    let (mut output, mut notes) = (Vec::new(), Vec::new());
    let mut console = Console::into_memory(Format::Text, &mut output, &mut notes);
    Token::try_parse_from(line)?.command.run(&mut console)?;
    drop(console);
    Ok((String::from_utf8(output)?, String::from_utf8(notes)?))
}
