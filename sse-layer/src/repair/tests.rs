//! The names and the sets.

use super::*;

#[test]
fn every_name_is_read_as_the_widest_form_of_its_repair() {
    for (name, repairs) in Repairs::NAMES {
        assert_eq!(name.parse(), Ok(*repairs));
        assert_eq!(repairs.to_string(), *name);
    }
    let wide: Repairs = "content-type".parse().unwrap();
    assert!(wide.contains(Repairs::CONTENT_TYPE | Repairs::RELABEL));
}

#[test]
fn each_bit_has_one_name() {
    let all = Repairs::NAMES.iter().fold(0_u32, |all, (_, repair)| {
        assert_eq!(all & repair.0, 0, "{repair}");
        all | repair.0
    });
    assert_eq!(all.count_ones(), all.trailing_ones());
}

#[test]
fn profiles_are_sets() {
    assert_eq!("off".parse(), Ok(Repairs::NONE));
    assert_eq!(Repairs::NONE.to_string(), "off");
    let added = Repairs::LEGACY.without(Repairs::SAFE).iter().collect::<Vec<_>>();
    let expected = [
        "content-type",
        "decode",
        "cache-control",
        "field-case",
        "field-space",
        "stray-bom",
        "blank-lines",
        "transcode",
    ];
    assert_eq!(added, expected);
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = "Field-Case".parse::<Repairs>().unwrap_err().to_string();
    let start = "`Field-Case` is no repair; allowed are off, safe, legacy, normalise-eol, ";
    assert!(error.starts_with(start), "{error}");
    assert!(error.ends_with(", soften-5xx"), "{error}");
}
