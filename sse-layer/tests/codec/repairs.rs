//! What each repair of the legacy profile mends, and what it leaves alone.

use sse_layer::Repairs;

use crate::mended;

#[test]
fn names_are_mended_together() {
    let (frames, mut framer) =
        mended("\u{feff}\u{feff}\u{feff}Event : x\r\n\tDATA\t:  y\r\n ID:1\n\n", Repairs::LEGACY);
    assert_eq!(frames, ["event: x\ndata:  y\nid:1\n\n"]);
    let made =
        Repairs::FIELD_CASE | Repairs::FIELD_SPACE | Repairs::STRAY_BOM | Repairs::NORMALISE_EOL;
    assert_eq!(framer.take_repaired(), made);
    assert_eq!(framer.take_repaired(), Repairs::NONE);
    assert_eq!(framer.hints(), Repairs::NONE);
}

#[test]
fn each_repair_keeps_to_its_own() {
    let block = "Event: a\n event: b\nData : c\n\u{feff}ID: d\n\n";
    let cases = [
        (Repairs::NORMALISE_EOL, block),
        (Repairs::FIELD_CASE, "event: a\n event: b\nData : c\n\u{feff}ID: d\n\n"),
        (Repairs::FIELD_SPACE, "Event: a\nevent: b\nData : c\n\u{feff}ID: d\n\n"),
        (Repairs::STRAY_BOM, "Event: a\n event: b\nData : c\nID: d\n\n"),
    ];
    for (repairs, expected) in cases {
        assert_eq!(mended(block, repairs).0, [expected], "{repairs}");
    }
}

#[test]
fn a_name_is_not_folded_beside_the_exact_one() {
    for block in ["Data: a\ndata: b\n\n", "data\nDATA : a\n\n", "Id: 1\nid\n\n"] {
        let (frames, mut framer) = mended(block, Repairs::LEGACY);
        assert_eq!(frames, [block]);
        assert_eq!(framer.take_repaired(), Repairs::NONE);
    }
    // A blank is part of a name that has no colon.
    assert_eq!(mended("data \nData: a\n\n", Repairs::LEGACY).0, ["data \ndata: a\n\n"]);
    // Even if the exact one itself had to be mended; and each block is for itself.
    let (frames, _) = mended("Data: a\n data: b\n\nData: c\n\n", Repairs::LEGACY);
    assert_eq!(frames, ["Data: a\ndata: b\n\n", "data: c\n\n"]);
}

#[test]
fn a_line_that_is_no_name_and_colon_is_left_alone() {
    for block in ["Data\n\n", " data\n\n", "data \n\n", "Data=a\n\n", " foo: a\n\n", " : c\n\n"] {
        assert_eq!(mended(block, Repairs::LEGACY).0, [block]);
    }
}

#[test]
fn a_line_of_blanks_ends_a_block() {
    let (frames, framer) = mended(" \ndata: a\n \t\n\t\r\ndata: b\n\u{feff} \n ", Repairs::LEGACY);
    assert_eq!(frames, ["data: a\n\n", "data: b\n\n"]);
    assert!(framer.is_mid_frame());
    // The CR and the LF around what goes must not become one line end.
    assert_eq!(mended("data: a\r \n", Repairs::BLANK_LINES).0, ["data: a\n\n"]);
    assert_eq!(mended("data: a\r\u{feff}\n", Repairs::STRAY_BOM).0, ["data: a\n\n"]);
}

#[test]
fn what_is_off_is_hinted_at() {
    let (_, framer) = mended("data: a\n\nfoo\n\n", Repairs::NONE);
    assert_eq!(framer.hints(), Repairs::NONE);
    let (_, framer) = mended("Event: a\ndata:\n\n", Repairs::SAFE);
    assert_eq!(framer.hints(), Repairs::FIELD_CASE);
    let (_, framer) = mended("\tid: 1\n\n\u{feff}\ndata:\n\n", Repairs::FIELD_CASE);
    assert_eq!(framer.hints(), Repairs::FIELD_SPACE | Repairs::STRAY_BOM);
    // A stream of this kind never has a whole block.
    let (_, framer) = mended("data: a\n \ndata: b\n \n", Repairs::SAFE);
    assert_eq!(framer.hints(), Repairs::BLANK_LINES);
}
