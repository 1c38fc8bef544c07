//! What must hold for any bytes and any cuts.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sse_layer::{Decoder, Event, EventId, EventType, Frame, Framer, Repairs};

use crate::{BY_BYTES, cut, decode, frames, naive, rest};

/// Bytes that look like a stream, or nearly.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let tokens: Vec<_> = TOKENS.split(|byte| *byte == b'|').collect();
    let token = prop_oneof![
        8 => prop::sample::select(LINE_ENDS).prop_map(<[u8]>::to_vec),
        8 => prop::sample::select(tokens).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

const LINE_ENDS: &[&[u8]] =
    &[b"\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\r", b"\r\r", b"\n\r", b"\r\r\n", b"\r\r\n\r\r\n"];

const TOKENS: &[u8] = b":|: |:c| |\t|7|foo: bar|\0\
    |data|data:|data: x|Data: y| data: z|data: {\"a\":| \"b\": [1,|}]\
    |id|id: 1|id: 2|id:\0|Id: 3|event:|event: a|event: b |EVENT: c\
    |retry:|retry: 12|retry: 5s|retry :9|retry: 99999999999\
    |\xEF\xBB\xBF|\xEF\xBB|\xBF|\xE2\x82|\xF0\x9F|\xED\xA0\xBD\xED\xB8\x80|\xED\xA0\xBD";

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), Just(vec![usize::MAX]), vec(1_usize..12, 1..8)]
}

fn repairs() -> impl Strategy<Value = Repairs> {
    prop::sample::subsequence(BY_BYTES.to_vec(), 0..=BY_BYTES.len())
        .prop_map(|some| some.into_iter().collect())
}

/// A block without the LF that it may leave without.
fn without_last_lf(block: &[u8]) -> &[u8] {
    if block.ends_with(b"\r\n") { &block[..block.len() - 1] } else { block }
}

fn concat(frames: &[Frame]) -> Bytes {
    frames.iter().flat_map(|frame| frame.bytes().clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_decoder_agrees_with_the_naive_one(stream in stream(), sizes in sizes()) {
        let parsed = decode(&cut(&stream, &sizes), Repairs::NONE);
        prop_assert_eq!(parsed, naive::parse(&stream));
    }

    #[test]
    fn frames_and_remainder_are_the_bytes_that_came(stream in stream(), sizes in sizes()) {
        let (blocks, rest) = naive::blocks(&stream);
        let (frames, framer) = frames(Framer::new(), &cut(&stream, &sizes));
        let is_whole = sizes == [usize::MAX];
        for (frame, block) in frames.iter().zip(&blocks) {
            if is_whole || without_last_lf(frame.bytes()) != frame.bytes() {
                prop_assert_eq!(frame.bytes(), block);
            } else {
                prop_assert_eq!(frame.bytes(), without_last_lf(block));
            }
        }
        prop_assert_eq!(frames.len(), blocks.len());
        prop_assert_eq!(framer.is_mid_frame(), !rest.is_empty());
        prop_assert_eq!(framer.into_remainder(), rest);
    }

    #[test]
    fn the_limit_is_the_same_for_any_cut(
        stream in stream(),
        sizes in sizes(),
        limit in 1_usize..60,
    ) {
        let (blocks, rest) = naive::blocks(&stream);
        let lengths = blocks.iter().map(|block| without_last_lf(block).len());
        let short = lengths.take_while(|length| *length <= limit).count();
        let fails = short < blocks.len() || rest.len() > limit;

        let mut framer = Framer::new().with_limit(limit);
        let (mut found, mut has_failed) = (0, false);
        for chunk in cut(&stream, &sizes) {
            framer.push(chunk);
            loop {
                match framer.next_frame() {
                    Ok(Some(_)) => found += 1,
                    Ok(None) => break,
                    Err(_) => {
                        has_failed = true;
                        break;
                    }
                }
            }
        }
        prop_assert_eq!((found, has_failed), (short, fails));
    }

    #[test]
    fn repairs_do_not_depend_on_the_cut(
        stream in stream(),
        sizes in sizes(),
        repairs in repairs(),
    ) {
        let framer = || Framer::new().with_repairs(repairs);
        let (mut whole, mut after_whole) = frames(framer(), &cut(&stream, &[usize::MAX]));
        let (mut parts, mut after_parts) = frames(framer(), &cut(&stream, &sizes));
        whole.extend(rest(&mut after_whole, true));
        parts.extend(rest(&mut after_parts, true));
        let blocks = |frames: &[Frame]| -> Vec<Vec<u8>> {
            frames.iter().map(|frame| without_last_lf(frame.bytes()).to_vec()).collect()
        };
        prop_assert_eq!(blocks(&whole), blocks(&parts));
        prop_assert_eq!(after_whole.take_repaired(), after_parts.take_repaired());
        prop_assert_eq!(after_whole.hints(), after_parts.hints());
        prop_assert_eq!(after_whole.pending_retry(), after_parts.pending_retry());
        prop_assert_eq!(after_whole.into_remainder(), after_parts.into_remainder());
    }

    /// Repairing again changes nothing, and finds nothing. (But that lines which only a repair
    /// made data of are then taken for events, where each line is one.)
    #[test]
    fn what_is_mended_stays(stream in stream(), repairs in repairs()) {
        let repairs = repairs.without(Repairs::LINE_PER_EVENT);
        let framer = || Framer::new().with_repairs(repairs);
        let (once, _) = frames(framer(), &cut(&stream, &[usize::MAX]));
        // The start of a stream would take a byte order mark for its own.
        let start = Bytes::from(":\n\n");
        let (twice, mut framer) = frames(framer(), &[start, concat(&once)]);
        prop_assert_eq!(&twice[1..], once.as_slice());
        prop_assert_eq!(framer.take_repaired(), Repairs::NONE);
    }

    #[test]
    fn safe_repairs_keep_every_meaning(stream in stream(), sizes in sizes()) {
        let (frames, _) = frames(Framer::new().with_repairs(Repairs::SAFE), &cut(&stream, &sizes));
        let bytes = [b":\n\n", concat(&frames).as_ref()].concat();
        prop_assert!(!bytes.contains(&b'\r'));
        prop_assert_eq!(naive::parse(&bytes).events, naive::parse(&stream).events);
    }

    #[test]
    fn an_event_that_is_sent_is_the_event_that_arrives(
        event_type in "[^\r\n]{0,9}",
        id in "[^\0\r\n]{0,9}",
        data in any::<String>(),
        comment in any::<String>(),
        retry in 0..=i32::MAX as u64,
    ) {
        let retry = Duration::from_millis(retry);
        let event = Event::new()
            .event(event_type.parse::<EventType>().unwrap())
            .id(id.parse::<EventId>().unwrap())
            .data(data.clone())
            .comment(comment)
            .retry(retry);
        let frame = Frame::from(event);
        prop_assert_eq!(frame.id(), Some(id.as_bytes()));
        prop_assert_eq!(frame.retry(), Some(retry));
        prop_assert!(frame.has_data());

        let mut decoder = Decoder::new();
        decoder.push(frame.into_bytes());
        let found = decoder.next_event().unwrap().unwrap().to_owned();
        prop_assert_eq!(decoder.next_event().unwrap(), None);
        prop_assert_eq!(found.data, data.replace("\r\n", "\n").replace('\r', "\n"));
        let expected = if event_type.is_empty() { "message".to_owned() } else { event_type };
        prop_assert_eq!(found.event_type, expected);
        prop_assert_eq!(found.last_event_id, id);
        prop_assert_eq!(decoder.retry(), Some(retry));
    }
}
