//! What the twelve feeds talk about.

use std::time::Duration;

use serde_json::{Value, json};

/// One feed of the origin.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) name: &'static str,
    /// From one event to the next.
    pub(super) every: Duration,
    /// The data of the event with this number.
    pub(super) sample: fn(u64) -> Value,
}

const fn feed(name: &'static str, every_ms: u64, sample: fn(u64) -> Value) -> Feed {
    Feed { name, every: Duration::from_millis(every_ms), sample }
}

pub(super) const FEEDS: [Feed; 12] = [
    feed("orders", 575, |_| {
        let item = pick(&["Desk lamp", "Notebook", "Rain jacket", "Kettle", "Bike bell"]);
        json!({ "item": item, "pieces": fastrand::u8(1..5), "total": fastrand::u16(9..240) })
    }),
    feed("prices", 300, |n| {
        let price = round(101.0 + wave(n, 6.0), 2);
        json!({ "symbol": "ACME", "price": price })
    }),
    feed("chat", 1100, |_| {
        let text = pick(&["on my way", "looks good", "lunch?", "who has the key?", "done"]);
        json!({ "from": pick(&["Mia", "Jonas", "Priya", "Tom", "Aiko"]), "text": text })
    }),
    feed("builds", 1200, |n| {
        let result = pick(&["passed", "passed", "passed", "failed"]);
        json!({ "build": 8200 + n, "result": result, "seconds": fastrand::u8(21..95) })
    }),
    feed("scores", 900, |_| {
        let game = pick(&["Lions : Bears", "Reds : Blues", "North : South"]);
        json!({ "game": game, "home": fastrand::u8(0..4), "away": fastrand::u8(0..4) })
    }),
    feed("weather", 825, |n| {
        let celsius = round(11.0 + wave(n, 7.0), 1);
        json!({ "city": "Oslo", "celsius": celsius })
    }),
    feed("alerts", 1050, |_| {
        let text = pick(&["disk is filling", "queue is long", "slow answers", "retries rise"]);
        json!({ "text": text, "load": fastrand::u8(10..99) })
    }),
    feed("trains", 975, |_| {
        let line = pick(&["IC 712", "RE 5", "S 41", "NJ 464"]);
        json!({ "line": line, "track": fastrand::u8(1..13), "late": fastrand::u8(0..9) })
    }),
    feed("tickets", 750, |n| {
        let state = pick(&["opened", "answered", "waiting", "solved"]);
        json!({ "ticket": 4300 + n, "state": state, "open": round(40.0 + wave(n, 14.0), 0) })
    }),
    feed("sensors", 375, |n| {
        let bar = round(4.2 + wave(n, 0.9), 2);
        json!({ "sensor": "pump 2", "bar": bar })
    }),
    feed("logins", 500, |_| {
        let user = pick(&["ana", "ben", "chloe", "dan", "eva"]);
        json!({ "user": user, "from": pick(&["Porto", "Gent", "Turku"]), "ms": fastrand::u8(20..180) })
    }),
    feed("deploys", 1150, |n| {
        let service = pick(&["api", "web", "search", "mail"]);
        let version = format!("2.{}", n % 40);
        json!({ "service": service, "version": version, "percent": fastrand::u8(1..=10) * 10 })
    }),
];

/// One of `choices`.
fn pick(choices: &[&'static str]) -> &'static str {
    fastrand::choice(choices).copied().unwrap_or_default()
}

/// A value that swings around zero by about `size`, without a jump from one event to the next.
fn wave(n: u64, size: f64) -> f64 {
    let turn = n as f64;
    size * (0.6 * (turn / 9.0).sin() + 0.3 * (turn / 3.7).sin() + 0.1 * (fastrand::f64() - 0.5))
}

fn round(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}
