//! What the README shows works as it is shown.

use std::path::Path;

use crate::support::{Folder, Origin, Proxy, run};

/// The blocks of the README in this language, in order.
fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(path).expect("the README");
    let opening = format!("```{language}\n");
    let parts = text.split(&opening).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The only configuration in the README.
fn configuration() -> String {
    let [configuration] = blocks("toml").try_into().expect("one configuration");
    configuration
}

/// The README's command that begins so, as arguments of the program.
fn arguments(begin: &str) -> Vec<String> {
    let commands = blocks("sh").concat();
    let command = commands.lines().find(|line| line.starts_with(begin));
    let command = command.unwrap_or_else(|| panic!("no command begins with {begin:?}"));
    command.split(' ').skip(1).map(str::to_owned).collect()
}

/// There it is compiled.
#[test]
fn the_layers_example_is_that_of_its_own_readme() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sse-layer/README.md");
    let text = std::fs::read_to_string(path).expect("the layer's README");
    let [example] = blocks("rust").try_into().expect("one example");
    assert!(text.contains(&format!("```rust\n{example}```")), "{text}");
}

#[tokio::test]
async fn the_configuration_is_right() {
    let folder = Folder::new();
    let configuration = configuration().replace("127.0.0.1:8443", "127.0.0.1:0");
    let path = folder.write("sse-proxy.toml", &configuration);
    let path = path.to_str().expect("a path in UTF-8");
    let arguments = arguments("sse-proxy check");
    let arguments: Vec<_> =
        arguments.iter().map(|it| if it == "sse-proxy.toml" { path } else { it }).collect();
    let run = run(&arguments).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("/events/*"), "{}", run.stdout);
}

#[tokio::test]
async fn the_configuration_mends_shares_and_multiplexes() {
    let origin = Origin::start();
    let configuration = configuration()
        .replace("127.0.0.1:8443", "127.0.0.1:0")
        .replace("http://127.0.0.1:3000", &origin.url());
    let proxy = Proxy::start(&configuration).await;
    let curl = blocks("sh").concat();
    let target = curl.lines().find(|line| line.starts_with("curl")).expect("a curl command");
    let target =
        target.split("127.0.0.1:8443").nth(1).expect("a URL").trim_end_matches('\'').to_owned();
    let client = proxy.h2().await;
    let stream = tokio::spawn(async move { client.open(&target).await.text_until("\"b\"").await });
    for (path, data) in [("/events/a", "\"a\""), ("/events/b", "\"b\"")] {
        let mut exchange = origin.request(path).await;
        exchange.open().await;
        exchange.send(format!("Event: update\nID: 1\nData: {data}\n\n")).await;
        tokio::spawn(async move { exchange.gone().await });
    }
    let text = stream.await.expect("the stream");
    assert!(text.contains("event: /events/b#update\n"), "{text}");
}

#[tokio::test]
async fn the_commands_are_taken() {
    let commands = blocks("sh").concat();
    let ours = commands.lines().filter(|line| line.starts_with("sse-proxy run"));
    for command in ours {
        // Wrong usage would end with 64 before anything is bound or read.
        let mut arguments: Vec<_> = command.split(' ').skip(1).collect();
        arguments.push("--help");
        let run = run(&arguments).await;
        assert_eq!(run.code, Some(0), "{command}: {}", run.stderr);
    }
    assert!(commands.contains("cargo run --release -- demo\n"));
    let run = run(&["demo", "--help"]).await;
    assert_eq!(run.code, Some(0));
}
