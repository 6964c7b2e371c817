//! Counters for operators, in the Prometheus text format: a few fixed atomics, no registry. Labels are closed lists
//! (surface, outcome, tool), so that callers cannot make the output grow.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::{Method, StatusCode};

use crate::oauth;

/// By which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Mcp,
    Api,
    Console,
    Scim,
    WellKnown,
    /// What the authorization server offers to programs.
    OAuth,
    Probe,
    Other,
}

impl Surface {
    const ALL: [Surface; 8] = [
        Surface::Mcp,
        Surface::Api,
        Surface::Console,
        Surface::Scim,
        Surface::WellKnown,
        Surface::OAuth,
        Surface::Probe,
        Surface::Other,
    ];

    pub fn of(path: &str, method: &Method) -> Surface {
        let under =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            oauth::AUTHORIZE => Surface::Console,
            oauth::TOKEN | oauth::REGISTER | oauth::REVOKE | oauth::INTROSPECT | oauth::JWKS => {
                Surface::OAuth
            }
            "/healthz" | "/readyz" | "/metrics" => Surface::Probe,
            "/" if method == Method::GET || method == Method::HEAD => Surface::Console,
            "/" => Surface::Mcp,
            _ if under("/mcp") || (under("/t") && path.trim_end_matches('/').ends_with("/mcp")) => {
                Surface::Mcp
            }
            _ if under("/api") => Surface::Api,
            _ if under("/scim") => Surface::Scim,
            _ if under("/app") || under("/assets") => Surface::Console,
            _ if under("/.well-known") => Surface::WellKnown,
            _ => Surface::Other,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Surface::Mcp => "mcp",
            Surface::Api => "api",
            Surface::Console => "console",
            Surface::Scim => "scim",
            Surface::WellKnown => "well_known",
            Surface::OAuth => "oauth",
            Surface::Probe => "probe",
            Surface::Other => "other",
        }
    }
}

/// How a request ended, by its status.
const OUTCOMES: [&str; 5] = ["ok", "unauthorized", "rate_limited", "refused", "failed"];

fn outcome(status: StatusCode) -> usize {
    match status.as_u16() {
        401 => 1,
        429 => 2,
        400..=499 => 3,
        500.. => 4,
        _ => 0,
    }
}

/// Upper bounds of the histogram, in microseconds.
const BOUNDS: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// How a tool call ended.
#[derive(Debug, Clone, Copy)]
pub enum Called {
    Ok,
    Refused,
}

#[derive(Debug, Default)]
struct PerSurface {
    outcomes: [AtomicU64; OUTCOMES.len()],
    buckets: [AtomicU64; BOUNDS.len()],
    sum_micros: AtomicU64,
}

/// A value of another part, read when somebody asks.
pub struct Gauge {
    /// Metric name, for example `loopiq_writer_queue_length`.
    pub name: &'static str,
    pub help: &'static str,
    pub read: Box<dyn Fn() -> i64 + Send + Sync>,
}

/// All counters of one process.
#[derive(Debug)]
pub struct Metrics {
    surfaces: [PerSurface; Surface::ALL.len()],
    tools: HashMap<&'static str, [AtomicU64; 2]>,
    unknown_tools: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            surfaces: Default::default(),
            tools: engine::tools::ALL.iter().map(|tool| (tool.name(), Default::default())).collect(),
            unknown_tools: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    pub fn request(&self, surface: Surface, status: StatusCode, micros: u64) {
        let Some(per) = self.surfaces.get(surface as usize) else { return };
        if let Some(count) = per.outcomes.get(outcome(status)) {
            count.fetch_add(1, Relaxed);
        }
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = per.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        per.sum_micros.fetch_add(micros, Relaxed);
    }

    pub fn tool(&self, name: &str, called: Called) {
        if let Some(counts) = self.tools.get(name).and_then(|counts| counts.get(called as usize)) {
            counts.fetch_add(1, Relaxed);
        }
    }

    pub fn unknown_tool(&self) {
        self.unknown_tools.fetch_add(1, Relaxed);
    }

    /// The text Prometheus reads (exposition format 0.0.4).
    pub fn render(&self, gauges: &[Gauge]) -> String {
        let mut out = String::with_capacity(8192);
        head(&mut out, "loopiq_requests_total", "counter", "HTTP requests by surface and outcome.");
        for (surface, per) in Surface::ALL.iter().zip(&self.surfaces) {
            for (name, count) in OUTCOMES.iter().zip(&per.outcomes) {
                let (surface, count) = (surface.as_str(), count.load(Relaxed));
                let _ = writeln!(
                    out,
                    "loopiq_requests_total{{surface=\"{surface}\",outcome=\"{name}\"}} {count}"
                );
            }
        }
        head(&mut out, "loopiq_request_seconds", "histogram", "Time from request to answer, by surface.");
        for (surface, per) in Surface::ALL.iter().zip(&self.surfaces) {
            histogram(&mut out, surface.as_str(), per);
        }
        head(&mut out, "loopiq_tool_calls_total", "counter", "Tool calls by tool and outcome.");
        for tool in &engine::tools::ALL {
            let name = tool.name();
            let Some([ok, refused]) = self.tools.get(name) else { continue };
            for (outcome, count) in [("ok", ok.load(Relaxed)), ("refused", refused.load(Relaxed))] {
                let _ =
                    writeln!(out, "loopiq_tool_calls_total{{tool=\"{name}\",outcome=\"{outcome}\"}} {count}");
            }
        }
        let unknown = self.unknown_tools.load(Relaxed);
        let _ = writeln!(out, "loopiq_tool_calls_total{{tool=\"unknown\",outcome=\"refused\"}} {unknown}");
        for gauge in gauges {
            head(&mut out, gauge.name, "gauge", gauge.help);
            let _ = writeln!(out, "{} {}", gauge.name, (gauge.read)());
        }
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn histogram(out: &mut String, surface: &str, per: &PerSurface) {
    let count: u64 = per.outcomes.iter().map(|c| c.load(Relaxed)).sum();
    let mut below = 0;
    for (bound, bucket) in BOUNDS.iter().zip(&per.buckets) {
        below += bucket.load(Relaxed);
        let bound = *bound as f64 / 1e6;
        let _ =
            writeln!(out, "loopiq_request_seconds_bucket{{surface=\"{surface}\",le=\"{bound}\"}} {below}");
    }
    // Counted apart from the buckets a moment earlier; never less than they add up to.
    let count = count.max(below);
    let sum = per.sum_micros.load(Relaxed) as f64 / 1e6;
    let _ = writeln!(out, "loopiq_request_seconds_bucket{{surface=\"{surface}\",le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "loopiq_request_seconds_sum{{surface=\"{surface}\"}} {sum}");
    let _ = writeln!(out, "loopiq_request_seconds_count{{surface=\"{surface}\"}} {count}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let metrics = Metrics::default();
        for (status, micros) in [(200, 10), (200, 600), (401, 1), (500, 60_000_000)] {
            metrics.request(Surface::Mcp, StatusCode::from_u16(status).unwrap(), micros);
        }
        let text = metrics.render(&[Gauge { name: "x", help: "y", read: Box::new(|| 3) }]);
        for line in [
            "loopiq_requests_total{surface=\"mcp\",outcome=\"ok\"} 2",
            "loopiq_request_seconds_bucket{surface=\"mcp\",le=\"0.00025\"} 2",
            "loopiq_request_seconds_bucket{surface=\"mcp\",le=\"0.001\"} 3",
            "loopiq_request_seconds_bucket{surface=\"mcp\",le=\"+Inf\"} 4",
            "x 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn surfaces_by_path() {
        for (path, surface) in [
            ("/", Surface::Console),
            ("/mcp", Surface::Mcp),
            ("/mcp/readonly", Surface::Mcp),
            ("/mcpx", Surface::Other),
            ("/t/acme/mcp", Surface::Mcp),
            ("/api/v1/me", Surface::Api),
            ("/app/releases", Surface::Console),
        ] {
            assert_eq!(Surface::of(path, &Method::GET), surface, "{path}");
        }
        assert_eq!(Surface::of("/", &Method::POST), Surface::Mcp);
    }
}
