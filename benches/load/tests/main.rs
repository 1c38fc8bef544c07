//! The load tester seen from outside: what it says of servers whose faults are known.

#![expect(clippy::indexing_slicing, reason = "a report that lacks a figure is a failed test")]

mod listener;
mod openings;
mod reconnections;
mod rig;
mod strains;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use sse_workspace::load;

/// Trials by the names of functions.
macro_rules! trials {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        vec![$($(Trial::test(stringify!($name), || {
            $module::$name();
            Ok(())
        })),*),*]
    };
}

fn main() -> ExitCode {
    // This program is the load tester, too, and starts itself for it.
    if std::env::args().nth(1).as_deref() == Some("load") {
        return load::main(std::env::args_os().skip(1));
    }
    let trials = trials! {
        openings:
            a_template_gives_each_stream_its_feed,
            streams_are_opened_at_the_rate_that_is_asked_for,
            processes_share_the_streams,
            connections_come_from_several_addresses,
            addresses_are_for_servers_of_this_machine_only,
            streams_of_http2_share_connections,
            a_certificate_is_believed_if_its_issuer_is,
            a_server_that_cannot_be_reached_is_a_fault;
        reconnections:
            a_stream_that_ends_comes_back_with_its_last_id_after_the_time_told,
            without_resumption_no_id_is_sent,
            what_is_refused_does_not_come_back;
        strains:
            what_is_lost_doubled_or_swapped_is_told,
            storms_lose_nothing_where_streams_resume,
            storms_lose_nothing_over_http2,
            storms_upon_a_bare_loop_are_borne_without_resumption,
            slow_readers_neither_count_nor_hold_others_up,
            slow_readers_over_http2_do_not_hold_others_up,
            a_source_that_writes_as_much_as_is_taken_serves_all;
    };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
