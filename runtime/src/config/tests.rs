//! What an operator reads when a configuration is wrong, and what a process gets when it is right.

use std::{ffi::OsString, net::SocketAddr, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Json,
    Text,
}

impl Setting for Format {
    fn parse(text: &str) -> Result<Self, String> {
        one_of(text, &[("json", Format::Json), ("text", Format::Text)])
    }
}

#[test]
fn three_faults_of_one_document_are_reported_together() {
    let document =
        document("[listen]\ngrpc = '0.0.0.0'\n[issuing]\nmax_lifetme = '24h'\n[log]\nformat = 'jsn'", []);

    let listen = document.section("listen").optional::<SocketAddr>("grpc", ([0, 0, 0, 0], 15012).into());
    let lifetime = document.section("issuing").optional("max_lifetime", HOUR);
    let format = document.section("log").optional("format", Format::Json);

    let faults = document.finish(Some((listen, lifetime, format))).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "ca.toml: 3 faults. \
         listen.grpc: `0.0.0.0` is no address with a port (want e.g. `0.0.0.0:15012`). \
         log.format: unknown `jsn` (want json, text). \
         issuing.max_lifetme: unknown key (did you mean `max_lifetime`?); want one of max_lifetime."
    );
}

#[test]
fn every_type_is_read_from_the_file_and_from_the_environment_alike() {
    let text = "[a]\naddress = '127.0.0.1:1'\npath = '/x'\nflag = true\ncount = 7\nage = '1h'\nmode = '0660'\n\
                names = ['one', 'two']\nformat = 'text'\nname = 'n'";
    let variables = [
        ("T_A_ADDRESS", "127.0.0.1:1"),
        ("T_A_PATH", "/x"),
        ("T_A_FLAG", "true"),
        ("T_A_COUNT", "7"),
        ("T_A_AGE", "1h"),
        ("T_A_MODE", "0660"),
        ("T_A_NAMES", "one, two"),
        ("T_A_FORMAT", "text"),
        ("T_A_NAME", "n"),
    ];
    for (source, document) in [("file", document(text, [])), ("environment", document("", variables))] {
        let a = document.section("a");
        assert_eq!(a.required::<SocketAddr>("address"), Some(([127, 0, 0, 1], 1).into()), "{source}");
        assert_eq!(a.required::<PathBuf>("path"), Some("/x".into()), "{source}");
        assert_eq!(a.required::<bool>("flag"), Some(true), "{source}");
        assert_eq!(a.required::<usize>("count"), Some(7), "{source}");
        assert_eq!(a.required::<Duration>("age"), Some(HOUR), "{source}");
        assert_eq!(a.required::<Mode>("mode"), Some(Mode::of(0o660)), "{source}");
        assert_eq!(a.list::<String>("names"), ["one", "two"], "{source}");
        assert_eq!(a.required::<Format>("format"), Some(Format::Text), "{source}");
        assert_eq!(a.maybe::<String>("name").as_deref(), Some("n"), "{source}");
        document.finish(Some(())).unwrap();
    }
}

#[test]
fn a_variable_overrides_the_file() {
    let document = document("[issuing]\nmax_lifetime = '24h'", [("T_ISSUING_MAX_LIFETIME", "1h")]);

    let lifetime = document.section("issuing").required::<Duration>("max_lifetime");

    assert_eq!(document.finish(lifetime).unwrap(), HOUR);
}

#[test]
fn what_is_wrong_is_said_with_the_key_and_the_remedy() {
    let cases = [
        ("absent", "", asked::<u64> as Ask, "a.n: is required, and absent"),
        ("no number", "[a]\nn = 'x'", asked::<u64>, "a.n: `x` is no whole number (want e.g. `256`)"),
        ("negative", "[a]\nn = -1", asked::<usize>, "a.n: `-1` is no whole number (want e.g. `256`)"),
        ("no truth", "[a]\nn = 'yes'", asked::<bool>, "a.n: unknown `yes` (want true, false)"),
        ("bare number", "[a]\nn = 5", asked::<Duration>, "a.n: `5` is no duration: time unit needed"),
        ("bare mode", "[a]\nn = 0o660", asked::<Mode>, "a.n: `432` is no mode (want four octal digits"),
        ("set-uid mode", "[a]\nn = '4755'", asked::<Mode>, "a.n: `4755` is no mode (want four octal digits"),
        ("empty path", "[a]\nn = ''", asked::<PathBuf>, "a.n: is an empty path"),
        ("list for one", "[a]\nn = [1]", asked::<u64>, "a.n: want one value, not a list"),
        ("table for one", "[a.n]", asked::<u64>, "a.n: want one value, not a section"),
        ("one for list", "[a]\nn = 1", |d| drop(d.section("a").list::<u64>("n")), "a.n: want a list"),
        ("no section", "a = 1", |d| drop(d.section("a")), "a: want a section, `[a]`"),
        ("no sections", "a = 1", |d| drop(d.tables("a")), "a: want sections, each begun by `[[a]]`"),
        ("one section", "[a]\nn = 1", |d| drop(d.tables("a")), "a: want sections, each begun by `[[a]]`"),
        ("sections for one", "[[a]]\nn = 1", |d| drop(d.section("a")), "a: want a section, `[a]`"),
    ];
    for (name, text, ask, expected) in cases {
        let document = document(text, []);
        ask(&document);
        let faults = document.finish(Some(())).unwrap_err().to_string();
        assert!(faults.starts_with(&format!("ca.toml: 1 fault. {expected}")), "{name}: {faults}");
    }
}

#[test]
fn what_only_the_use_of_a_key_shows_is_reported_with_the_rest() {
    let document = document("[a]\nn = 'x'\nfile = '/keys'", []);
    let a = document.section("a");
    let (_n, file) = (a.maybe::<u64>("n"), a.required::<PathBuf>("file"));
    assert!(document.is_faulty("a.n") && !document.is_faulty("a.file"));

    document.fault("a.file", "is empty");

    let faults = document.finish(file).unwrap_err().to_string();
    assert_eq!(faults, "ca.toml: 2 faults. a.n: `x` is no whole number (want e.g. `256`). a.file: is empty.");
}

#[test]
fn a_value_within_its_bounds_is_taken_and_one_outside_refused() {
    for (value, accepted) in [(0, false), (1, true), (8, true), (9, false)] {
        let document = document(&format!("[a]\nn = {value}"), []);
        let n = document.section("a").within("n", 4, 1..=8u64);

        let fault = document.finish(Some(n)).err().map(|faults| faults.to_string());

        let expected = format!("ca.toml: 1 fault. a.n: {value} is out of bounds (want 1 to 8).");
        assert_eq!(fault, (!accepted).then_some(expected));
    }
}

#[test]
fn a_variable_with_our_prefix_that_names_no_key_is_a_fault() {
    let document = document("", [("T_LISTN_GRPC", "127.0.0.1:1")]);
    let grpc = document.section("listen").optional::<SocketAddr>("grpc", ([0, 0, 0, 0], 1).into());

    let faults = document.finish(Some(grpc)).unwrap_err().to_string();

    assert!(faults.contains("T_LISTN_GRPC: names no setting (did you mean `T_LISTEN_GRPC`?)"), "{faults}");
}

#[test]
fn variables_that_are_not_ours_or_mean_something_else_are_left_alone() {
    document("", [("PATH", "/bin"), ("T_CONFIG", "/etc/ca.toml")]).finish(Some(())).unwrap();
}

#[test]
fn a_variable_that_is_not_utf8_is_a_fault_of_its_key() {
    let variables = [("T_A_NAME", OsString::from_vec(vec![0xff]))];
    let document = Document::parse("ca.toml", "", Environment::of("T_", &[], variables)).unwrap();
    let name = document.section("a").required::<String>("name");

    let faults = document.finish(name).unwrap_err().to_string();

    assert_eq!(faults, "ca.toml: 1 fault. a.name: the variable T_A_NAME is not UTF-8.");
}

#[test]
fn arrays_of_sections_are_read_in_order_and_their_unknown_keys_refused() {
    let document = document("[[issuer]]\nurl = 'one'\n[[issuer]]\nurl = 'two'\naudiense = 'x'", []);
    let issuers = document.tables("issuer");

    let urls: Vec<_> = issuers.iter().filter_map(|issuer| issuer.required::<String>("url")).collect();
    let audiences = issuers.iter().map(|issuer| issuer.list::<String>("audience")).collect::<Vec<_>>();

    assert_eq!(urls, ["one", "two"]);
    drop(issuers);
    let faults = document.finish(Some(audiences)).unwrap_err().to_string();
    assert_eq!(
        faults,
        "ca.toml: 1 fault. issuer[1].audiense: unknown key (did you mean `audience`?); want one of audience, url."
    );
}

#[test]
fn variables_do_not_reach_into_arrays_of_sections() {
    let document = document("[[issuer]]\nurl = 'one'", [("T_ISSUER[0]_URL", "two")]);
    let url = document.tables("issuer").first().and_then(|issuer| issuer.required::<String>("url"));

    assert_eq!(url.as_deref(), Some("one"));
    assert!(document.finish(url).is_err());
}

#[test]
fn a_whole_section_that_nobody_asked_for_is_one_fault() {
    let document = document("[issuing]\nlifetime = '1h'\n[isuing]\nlifetime = '1h'\nmore = 1", []);
    let lifetime = document.section("issuing").required::<Duration>("lifetime");

    let faults = document.finish(lifetime).unwrap_err().to_string();

    assert_eq!(
        faults,
        "ca.toml: 1 fault. isuing: unknown key (did you mean `issuing`?); want one of issuing."
    );
}

#[test]
fn what_may_stand_in_the_place_of_an_unknown_name_is_listed() {
    let document = document("[operations]\nlisten = '127.0.0.1:1'\n[listen]\naddress = '127.0.0.1:1'", []);
    let listen = document.section("listen");
    let addresses = (listen.maybe::<SocketAddr>("grpc"), listen.maybe::<SocketAddr>("operations"));
    drop(document.tables("issuer"));

    let faults = document.finish(Some(addresses)).unwrap_err().to_string();

    assert!(faults.contains("operations: unknown key; want one of issuer, listen."), "{faults}");
    assert!(faults.contains("listen.address: unknown key; want one of grpc, operations."), "{faults}");
}

#[test]
fn nested_sections_are_asked_for_by_a_dotted_name() {
    let document = document("[authn.oidc]\nleeway = '1h'", [("T_AUTHN_OIDC_LIMIT", "3")]);
    let oidc = document.section("authn.oidc");
    let both = oidc.required::<Duration>("leeway").zip(oidc.required::<u64>("limit"));

    assert_eq!(document.finish(both).unwrap(), (HOUR, 3));
}

#[test]
fn a_file_that_is_not_toml_names_the_line() {
    let faults =
        Document::parse("ca.toml", "[a]\nb = 1\nc = = 2", Environment::of("T_", &[], none())).unwrap_err();

    assert!(faults.to_string().starts_with("ca.toml: 1 fault. line 3 is not TOML: "), "{faults}");
}

#[test]
fn a_file_that_is_absent_is_named() {
    let environment = Environment::of("T_", &[], none());

    let faults = Document::load(Some("/nonexistent/ca.toml".as_ref()), environment).unwrap_err();

    assert!(faults.to_string().starts_with("/nonexistent/ca.toml: 1 fault. cannot be read: "), "{faults}");
    assert!(faults.to_string().contains("`--config` names the file"), "{faults}");
}

type Ask = fn(&Document);

fn asked<T: Setting>(document: &Document) {
    document.section("a").required::<T>("n");
}

fn document<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Document {
    Document::parse("ca.toml", text, Environment::of("T_", &["T_CONFIG"], variables)).unwrap()
}

fn none() -> [(&'static str, &'static str); 0] {
    []
}
