//! The options of the simulator's command line.

use std::net::{Ipv4Addr, SocketAddr};

use clap::ValueEnum;

/// Options of `emgate simulate`; [`Options::default`] gives the same values as the command line without any.
///
/// ```text
/// emgate simulate                                     on 127.0.0.1:9399, in real time
/// emgate simulate --speed 20 --plans 5 --vms 8        a failover of 60 s takes 3
/// emgate simulate --tls --listen 127.0.0.1:9398       prints the certificate's SHA-256 for pin_sha256
/// emgate simulate --idle 10 --expired-status 403      logon sessions expire fast, with the unusual status
/// ```
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  emgate simulate --speed 20 --plans 5 --vms 8
  emgate simulate --tls --listen 127.0.0.1:9398
  emgate simulate --idle 10 --expired-status 403

While it runs:
  curl http://127.0.0.1:9399/_sim/stats
  curl -X POST http://127.0.0.1:9399/_sim/failovers -d \\
    '{\"planId\":\"3f56fa52-c902-4655-9774-2022fde214d2\",\"action\":\"test\",\"result\":\"failed\",\"seconds\":20}'
  curl -X POST http://127.0.0.1:9399/_sim/faults -d '{\"kind\":\"hang\",\"count\":2,\"path\":\"/api/query\"}'")]
pub struct Options {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value_t = default_listen())]
    pub listen: SocketAddr,
    /// Serve HTTPS with a certificate made at the start; its SHA-256 is printed
    #[arg(long)]
    pub tls: bool,
    /// The one account that may log on, beside the tenants
    #[arg(long, value_name = "NAME", default_value = DEFAULT_USER)]
    pub user: String,
    /// Its password
    #[arg(long, value_name = "PASSWORD", default_value = DEFAULT_PASSWORD)]
    pub password: String,
    /// The password with which each tenant may log on, by its name, in the body
    #[arg(long, value_name = "PASSWORD", default_value = DEFAULT_PASSWORD)]
    pub tenant_password: String,
    /// How many times faster failovers and tasks run; clocks, --idle and --latency stay real
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub speed: f64,
    /// Failover plans of each kind (cloud and on-premises)
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub plans: usize,
    /// Virtual machines in each plan
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub vms: usize,
    /// Seconds without a request after which a logon session expires
    #[arg(long, value_name = "SECONDS", default_value_t = 900.0)]
    pub idle: f64,
    /// Milliseconds before every answer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency: u64,
    /// The answer to an expired logon session
    #[arg(long, value_name = "STATUS", value_enum, default_value_t = ExpiredStatus::Unauthorized)]
    pub expired_status: ExpiredStatus,
    /// Simulated seconds between a task's work being done and EM noticing (real EM: up to 15 minutes)
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub collect_delay: f64,
    /// How many logon sessions may be open; one more is answered 503. Unlimited when absent
    #[arg(long, value_name = "N")]
    pub max_sessions: Option<usize>,
    /// Progress stays 0 until the end, as some builds have it
    #[arg(long)]
    pub progress_zero: bool,
    /// Finished failover sessions of the past days to begin with
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub history: usize,
    /// Makes session ids, tokens and the spelling of answers repeatable; random when absent
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// EM's own address, with which every Href begins; another host on purpose
    #[arg(long, value_name = "URL", default_value = DEFAULT_HREF_BASE)]
    pub href_base: String,
    /// Seconds by which EM's clock is ahead (negative: behind)
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub clock_skew: i64,
    /// Put elements that no schema knows into every document
    #[arg(long)]
    pub unknown_elements: bool,
    /// One spelling for all answers: no byte order mark, no varying attributes, references and time formats
    #[arg(long)]
    pub plain: bool,
}

const DEFAULT_USER: &str = r"LAB\svc-emgate";
pub(super) const DEFAULT_PASSWORD: &str = "simulated";
const DEFAULT_HREF_BASE: &str = "https://localhost:9398/api";

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9399))
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            tls: false,
            user: DEFAULT_USER.to_owned(),
            password: DEFAULT_PASSWORD.to_owned(),
            tenant_password: DEFAULT_PASSWORD.to_owned(),
            speed: 1.0,
            plans: 3,
            vms: 2,
            idle: 900.0,
            latency: 0,
            expired_status: ExpiredStatus::Unauthorized,
            collect_delay: 1.0,
            max_sessions: None,
            progress_zero: false,
            history: 0,
            seed: None,
            href_base: DEFAULT_HREF_BASE.to_owned(),
            clock_skew: 0,
            unknown_elements: false,
            plain: false,
        }
    }
}

impl Options {
    /// The defaults on a free port: what a test begins with.
    #[must_use]
    pub fn on_any_port() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Self::default()
        }
    }

    /// The first option whose value cannot be used, as a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        let positive = |name: &str, value: f64| {
            (!(value.is_finite() && value > 0.0)).then(|| format!("{name} must be above 0"))
        };
        let not_negative = |name: &str, value: f64| {
            (!(value.is_finite() && value >= 0.0)).then(|| format!("{name} must be 0 or above"))
        };
        let at_most = |name: &str, value: usize, most: usize| {
            (value > most).then(|| format!("{name} must be {most} or below"))
        };
        positive("--speed", self.speed)
            .or_else(|| positive("--idle", self.idle))
            .or_else(|| not_negative("--collect-delay", self.collect_delay))
            .or_else(|| at_most("--plans", self.plans, 10_000))
            .or_else(|| at_most("--vms", self.vms, 10_000))
            .or_else(|| at_most("--history", self.history, 10_000))
            .or_else(|| {
                (self.clock_skew.abs() > 86_400).then(|| "--clock-skew must be a day or less".to_owned())
            })
    }
}

/// How EM answers a logon session that is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExpiredStatus {
    /// 401, as the manual says.
    #[value(name = "401")]
    Unauthorized,
    /// 403, as some builds do.
    #[value(name = "403")]
    Forbidden,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_command_line_without_options_gives_the_defaults() {
        let parsed = Cli::try_parse_from(["simulate"]).unwrap().options;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn documented_options_are_understood() {
        let arguments = "simulate --listen 127.0.0.1:0 --tls --user u --password p --speed 20 --plans 5 --vms 8 \
                         --idle 2.5 --latency 30 --expired-status 403 --collect-delay 4 --max-sessions 2 \
                         --progress-zero";
        let options = Cli::try_parse_from(arguments.split_whitespace()).unwrap().options;
        assert_eq!(options.expired_status, ExpiredStatus::Forbidden);
        assert_eq!(options.max_sessions, Some(2));
        assert!(options.fault().is_none());
        let slow = Options {
            speed: 0.0,
            ..Options::default()
        };
        assert_eq!(slow.fault().unwrap(), "--speed must be above 0");
    }
}
