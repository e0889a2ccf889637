//! Each answer for what it is.

use serde_json::Value;

use super::*;

fn judged(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Answer<Value>, VaultError> {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let status = StatusCode::from_u16(status).unwrap();
    let raw = Raw { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()) };
    raw.judged("https://vault/", "pki/sign/role")
}

#[test]
fn each_refusal_is_told_for_what_an_operator_does_about_it() {
    for (status, body, label, temporary, told) in [
        (307, "", "standby", true, "is a standby"),
        (400, r#"{"errors":["role requires keys of type rsa"]}"#, "refused", false, "keys of type rsa"),
        (400, r#"{"errors":["one","two"]}"#, "refused", false, "one; two"),
        (401, "", "denied", false, "policy"),
        (403, r#"{"errors":["permission denied"]}"#, "denied", false, "permission denied"),
        (404, r#"{"errors":[]}"#, "refused", false, "vault.mount"),
        (405, "", "refused", false, "vault.mount"),
        (412, "", "failing", true, "412"),
        (429, "", "rate_limited", true, "rate limit"),
        (500, r#"{"errors":["local node not active"]}"#, "failing", true, "local node not active"),
        (501, "", "failing", true, "501"),
        (502, "<html>Bad Gateway</html>", "failing", true, "does not say why"),
        (503, r#"{"errors":["Vault is sealed"]}"#, "sealed", true, "unseal it"),
        (503, r#"{"errors":["node is not active"]}"#, "standby", true, "is a standby"),
        (503, "no healthy upstream", "failing", true, "503"),
    ] {
        let error = judged(status, &[], body).err().unwrap_or_else(|| panic!("{status} is no success"));
        assert_eq!((error.label(), error.is_temporary()), (label, temporary), "{status} {body}");
        assert!(error.to_string().contains(told), "{status} {body}: {error}");
    }
}

#[test]
fn what_vault_says_goes_on_for_one_line_and_not_for_ever() {
    let body = serde_json::json!({"errors": ["a\nb\u{1b}[31m".to_owned() + &"x".repeat(10_000)]}).to_string();
    let told = judged(400, &[], &body).err().unwrap().to_string();
    assert!(told.contains("a b [31m") && !told.chars().any(char::is_control), "{told}");
    assert!(told.len() < 400, "{}", told.len());
}

#[test]
fn when_to_come_back_is_read_from_a_refusal_and_from_a_fault() {
    for (value, seconds) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("0", Some(0)),
        ("18446744073709551615", Some(24 * 3600)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
    ] {
        for status in [429, 503] {
            let asked = match judged(status, &[("retry-after", value)], "").err().unwrap() {
                VaultError::RateLimited { retry_after } | VaultError::Failing { retry_after, .. } => {
                    retry_after
                }
                other => panic!("{other}"),
            };
            assert_eq!(asked, seconds.map(Duration::from_secs), "{value}");
        }
    }
}

#[test]
fn a_redirect_tells_where_to() {
    let error = judged(307, &[("location", "https://other/v1/pki")], "").err().unwrap();
    assert!(matches!(&error, VaultError::Redirected { to, .. } if to == "https://other/v1/pki"), "{error}");
}

#[test]
fn a_success_has_what_it_is_about_or_nothing_at_all() {
    let whole = judged(200, &[], r#"{"request_id":"r","data":{"a":1},"warnings":["cut"]}"#).ok().unwrap();
    assert_eq!((whole.request_id.as_str(), whole.warnings.as_slice()), ("r", &["cut".to_owned()][..]));
    assert_eq!(whole.required("p").ok(), Some(serde_json::json!({"a": 1})));
    for (status, body) in [(204, ""), (200, "{}"), (200, r#"{"data":null,"warnings":null,"auth":null}"#)] {
        let empty = judged(status, &[], body).ok().unwrap();
        assert!(matches!(empty.required("p"), Err(VaultError::Nonsense { .. })), "{body}");
    }
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    for body in
        [r#"{"auth":{"client_token":"s.secret","lease_duration":"s.secret"}}"#, "s.secret", r#"["s.secret"]"#]
    {
        let error = judged(200, &[], body).err().unwrap();
        assert!(matches!(error, VaultError::Nonsense { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("s.secret"), "{error:?}");
    }
}
