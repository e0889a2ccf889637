//! What is told of a role, for each thing that can be wrong with it.

use super::*;

fn good() -> Role {
    Role {
        key_type: "any".to_owned(),
        key_bits: 0,
        require_cn: false,
        use_csr_sans: false,
        use_csr_common_name: false,
        allowed_uri_sans: vec!["spiffe://cluster.local/ns/*".to_owned()],
        allowed_uri_sans_template: false,
        server_flag: true,
        client_flag: true,
        key_usage: vec!["DigitalSignature".to_owned()],
        basic_constraints_valid_for_non_ca: true,
        no_store: true,
        generate_lease: false,
        max_ttl: 24 * 3600,
    }
}

fn told(role: &Role, scope: Scope) -> Vec<(Verdict, String)> {
    let wanted = Wanted {
        step: "workloads",
        role: "signet-workload",
        identity: "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap(),
        dns_names: &[],
        lifetime: Some((Duration::from_secs(24 * 3600), "issuing.max_lifetime")),
        scope,
    };
    judge(role, &wanted)
}

#[test]
fn nothing_is_told_of_a_role_as_it_should_be() {
    let templated = |role: Role| Role {
        allowed_uri_sans: vec!["spiffe://cluster.local/ns/{{identity.x}}/sa/{{identity.y}}".to_owned()],
        allowed_uri_sans_template: true,
        ..role
    };
    let elliptic = Role { key_type: "ec".to_owned(), key_bits: 256, ..good() };
    let endless = Role { max_ttl: 0, ..good() };
    for (role, scope) in [
        (good(), Scope::Any),
        (elliptic, Scope::Any),
        (endless, Scope::Any),
        (templated(good()), Scope::Any),
        (templated(good()), Scope::Own),
    ] {
        assert_eq!(told(&role, scope), [], "{role:?}");
    }
}

#[test]
fn each_thing_that_is_wrong_is_told_with_its_remedy() {
    type Break = fn(&mut Role);
    let table: [(Break, Verdict, &str); 14] = [
        (|role| role.key_type = "rsa".to_owned(), Verdict::Fault, "key_type=rsa (want any, or ec)"),
        (|role| role.key_type = "ed25519".to_owned(), Verdict::Fault, "key_type=ed25519 (want any, or ec)"),
        (
            |role| (role.key_type, role.key_bits) = ("ec".to_owned(), 384),
            Verdict::Fault,
            "key_bits=384 (want 256, or 0)",
        ),
        (|role| role.require_cn = true, Verdict::Fault, "require_cn=true (want false)"),
        (|role| role.use_csr_sans = true, Verdict::Fault, "use_csr_sans=true (want false)"),
        (|role| role.server_flag = false, Verdict::Fault, "server_flag or client_flag is false"),
        (|role| role.allowed_uri_sans.clear(), Verdict::Fault, "allowed_uri_sans=[] does not admit"),
        (
            |role| role.allowed_uri_sans = vec!["spiffe://other.example/*".to_owned()],
            Verdict::Fault,
            "does not admit the SPIFFE ID spiffe://cluster.local/ns/shop/sa/cart",
        ),
        (
            |role| role.allowed_uri_sans = vec!["spiffe://cluster.local/ns/{{identity.x}}/sa/x".to_owned()],
            Verdict::Fault,
            "allowed_uri_sans_template is false (want true)",
        ),
        (|role| role.max_ttl = 3600, Verdict::Fault, "max_ttl=1h, below issuing.max_lifetime (1d)"),
        (|role| role.no_store = false, Verdict::Hint, "no_store=false"),
        (|role| role.generate_lease = true, Verdict::Hint, "generate_lease=true"),
        (|role| role.key_usage.push("KeyAgreement".to_owned()), Verdict::Hint, "key_usage is not"),
        (
            |role| role.basic_constraints_valid_for_non_ca = false,
            Verdict::Hint,
            "basic_constraints_valid_for_non_ca=false",
        ),
    ];
    for (change, verdict, text) in table {
        let mut role = good();
        change(&mut role);
        let told = told(&role, Scope::Any);
        assert!(
            matches!(&told[..], [(found, said)] if *found == verdict && said.contains(text)),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn a_role_for_workloads_that_ties_nobody_to_his_own_identity_is_a_fault() {
    let told = told(&good(), Scope::Own);
    assert!(
        matches!(&told[..], [(Verdict::Fault, said)] if said.contains("any workload could be any other")),
        "{told:?}"
    );
}

#[test]
fn globs_admit_what_vaults_do() {
    for (glob, text, admitted) in [
        ("spiffe://td/ns/*", "spiffe://td/ns/a/sa/b", true),
        ("*", "spiffe://td/ns/a/sa/b", true),
        ("spiffe://td/ns/*/sa/*", "spiffe://td/ns/a/sa/b", true),
        ("spiffe://td/*/sa/b", "spiffe://td/ns/a/sa/b", true),
        ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b", true),
        ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/bc", false),
        ("spiffe://td/ns/*/sa/c", "spiffe://td/ns/a/sa/b", false),
        ("spiffe://other/*", "spiffe://td/ns/a/sa/b", false),
        ("", "spiffe://td/ns/a/sa/b", false),
    ] {
        assert_eq!(admits(glob, text), admitted, "{glob}");
    }
}
