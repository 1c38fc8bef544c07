//! A load tester for any server of server-sent events: `cargo bench --bench load -- --help`.

fn main() -> std::process::ExitCode {
    sse_workspace::load::main(std::env::args_os())
}
