use super::*;
use proptest::prelude::*;

fn domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    use SpiffeIdError::*;
    let table = [
        ("ID-01 no scheme", "cluster.local/ns/a/sa/b", Scheme),
        ("ID-01 another scheme", "https://cluster.local/a", Scheme),
        ("ID-01 upper case scheme", "SPIFFE://cluster.local/a", Scheme),
        ("ID-01 one slash", "spiffe:/cluster.local/a", Scheme),
        ("ID-02 nothing at all", "spiffe://", NoTrustDomain),
        ("ID-02 path only", "spiffe:///ns/a", NoTrustDomain),
        ("ID-03 query", "spiffe://cluster.local/a?b", QueryOrFragment),
        ("ID-03 query of the host", "spiffe://cluster.local?b", QueryOrFragment),
        ("ID-03 fragment", "spiffe://cluster.local/a#b", QueryOrFragment),
        ("ID-04 user", "spiffe://root@cluster.local/a", UserinfoOrPort),
        ("ID-04 port", "spiffe://cluster.local:443/a", UserinfoOrPort),
        ("ID-05 upper case", "spiffe://Cluster.local/a", UpperCaseTrustDomain),
        ("ID-06 space", "spiffe://cluster local/a", TrustDomainCharacter(' ')),
        ("ID-06 not ASCII", "spiffe://clüster.local/a", TrustDomainCharacter('ü')),
        ("ID-06 backslash", "spiffe://cluster.local\\a", TrustDomainCharacter('\\')),
        ("ID-07 percent", "spiffe://cluster%2elocal/a", PercentInTrustDomain),
        ("ID-08 IPv6 literal", "spiffe://[fd00--1]/a", TrustDomainCharacter('[')),
        ("ID-09 percent", "spiffe://cluster.local/ns/%61", PercentInPath),
        ("ID-10 empty segment", "spiffe://cluster.local/ns//sa", DotOrEmptySegment),
        ("ID-10 leading empty segment", "spiffe://cluster.local//ns", DotOrEmptySegment),
        ("ID-10 dot", "spiffe://cluster.local/./a", DotOrEmptySegment),
        ("ID-10 dot dot", "spiffe://cluster.local/ns/../a", DotOrEmptySegment),
        ("ID-11 root path", "spiffe://cluster.local/", TrailingSlash),
        ("ID-11 trailing slash", "spiffe://cluster.local/ns/a/", TrailingSlash),
        ("ID-12 colon", "spiffe://cluster.local/ns:a", PathCharacter(':')),
        ("ID-12 not ASCII", "spiffe://cluster.local/ns/ä", PathCharacter('ä')),
        ("ID-12 NUL", "spiffe://cluster.local/ns/a\0b", PathCharacter('\0')),
    ];
    for (name, uri, broken) in table {
        assert_eq!(uri.parse::<SpiffeId>(), Err(broken), "{name}");
    }
}

#[test]
fn valid_ids_are_kept_verbatim() {
    let table = [
        ("a workload", "spiffe://cluster.local/ns/a/sa/b", "cluster.local", "/ns/a/sa/b"),
        ("a trust domain", "spiffe://cluster.local", "cluster.local", ""),
        ("ID-08 IPv4 as trust domain", "spiffe://10.0.0.1/a", "10.0.0.1", "/a"),
        ("upper case in the path", "spiffe://a_b-c/Web/1.2_3-4", "a_b-c", "/Web/1.2_3-4"),
        ("three dots", "spiffe://a/...", "a", "/..."),
    ];
    for (name, uri, trust_domain, path) in table {
        let id: SpiffeId = uri.parse().unwrap();
        assert_eq!((id.as_str(), id.trust_domain().as_str(), id.path()), (uri, trust_domain, path), "{name}");
    }
}

#[test]
fn an_id_of_2048_bytes_passes_and_2049_are_refused() {
    let prefix = "spiffe://cluster.local/";
    let of_length =
        |bytes: usize| format!("{prefix}{}", "a".repeat(bytes - prefix.len())).parse::<SpiffeId>();
    assert!(of_length(2048).is_ok());
    assert_eq!(of_length(2049), Err(SpiffeIdError::LongId));
    assert_eq!(SpiffeId::workload(&domain(), "a", &"b".repeat(2048)), Err(SpiffeIdError::LongId));
}

#[test]
fn a_trust_domain_of_255_bytes_passes_and_256_are_refused() {
    assert!("a".repeat(255).parse::<TrustDomain>().is_ok());
    assert_eq!("a".repeat(256).parse::<TrustDomain>(), Err(SpiffeIdError::LongTrustDomain));
}

#[test]
fn a_trust_domain_written_as_an_id_is_told_to_leave_out_the_scheme() {
    let fault = "spiffe://cluster.local".parse::<TrustDomain>().unwrap_err();
    assert!(fault.to_string().starts_with("leave out `spiffe://`"), "{fault}");
}

#[test]
fn a_workload_is_named_by_namespace_and_service_account() {
    let id = SpiffeId::workload(&domain(), "shop", "cart").unwrap();
    assert_eq!(id.as_str(), "spiffe://cluster.local/ns/shop/sa/cart");
}

#[test]
fn a_namespace_cannot_smuggle_a_path() {
    for (namespace, broken) in [
        ("shop/sa/admin", SpiffeIdError::PathCharacter('/')),
        ("..", SpiffeIdError::DotOrEmptySegment),
        ("", SpiffeIdError::DotOrEmptySegment),
        ("a%2f", SpiffeIdError::PercentInPath),
    ] {
        assert_eq!(SpiffeId::workload(&domain(), namespace, "cart"), Err(broken), "{namespace:?}");
        assert!(SpiffeId::workload(&domain(), "shop", namespace).is_err(), "{namespace:?}");
    }
}

#[test]
fn the_names_of_the_authority_are_valid_and_no_workload_s() {
    for id in [domain().id(), SpiffeId::certificate_authority(&domain())] {
        assert_eq!(id.as_str().parse::<SpiffeId>(), Ok(id.clone()));
        assert!(!id.path().starts_with("/ns/"));
    }
}

proptest! {
    #[test]
    fn whatever_parses_is_printed_as_it_was(uri in "(spiffe://)?[a-zA-Z0-9._%:/?#-]{0,80}") {
        if let Ok(id) = uri.parse::<SpiffeId>() {
            prop_assert_eq!(id.to_string(), uri.clone());
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), uri);
        }
    }

    #[test]
    fn every_valid_id_parses(domain in "[a-z0-9._-]{1,255}", path in "(/[a-zA-Z0-9_-]{1,40}){0,6}") {
        let uri = format!("spiffe://{domain}{path}");
        prop_assert_eq!(uri.parse::<SpiffeId>().unwrap().to_string(), uri);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = text.parse::<SpiffeId>();
        let _ = format!("spiffe://{text}").parse::<SpiffeId>();
    }
}
