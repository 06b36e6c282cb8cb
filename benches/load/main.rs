//! The gateway under load, as a process before the simulator, in groups; each writes its rows into one table (`make bench`).
//!
//! `cargo bench --bench load`, or with the names of some groups: `-- reads deliveries`. Nothing is asserted; every wait has a limit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

mod audit;
mod backlog;
mod compare;
#[path = "../../tests/it/support/context.rs"]
mod context;
mod damaged;
mod deliveries;
#[path = "../transcode/documents.rs"]
#[expect(dead_code, reason = "the bench of the transcoder has other documents as well")]
mod documents;
#[path = "../figures/mod.rs"]
#[allow(dead_code, reason = "the table and the comparison use the rest")]
mod figures;
mod growth;
#[path = "../../tests/it/support/idp.rs"]
#[expect(dead_code, reason = "tests publish keys and change them as well")]
mod idp;
mod latency;
mod many;
#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "tests stop, freeze and kill it as well")]
mod postgres;
#[path = "../process.rs"]
mod process;
mod prompt;
mod reads;
mod reports;
mod stores;
mod streams;
mod tokens;
#[path = "../../tests/support/waiting.rs"]
#[expect(dead_code, reason = "tests have doubles that are slow")]
mod waiting;
mod world;

/// Runs the groups that are wanted, in this order; all when none is named, but for `many`, which takes minutes and whose growth is
/// among the others.
macro_rules! run {
    ($wanted:expr, $($name:literal $measuring:expr,)+) => {
        for word in $wanted {
            assert!(["many", $($name),+].contains(&word.as_str()), "no such group: {word}");
        }
        $(if $wanted.is_empty() || $wanted.iter().any(|word| word == $name) {
            let begun = std::time::Instant::now();
            $measuring.await;
            println!("  ({} took {:.0} s)", $name, begun.elapsed().as_secs_f64());
        })+
    };
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let wanted: Vec<String> = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'))
            .collect();
        if wanted.iter().any(|word| word == reads::bare::ARGUMENT) {
            return reads::bare::serve().await;
        }
        if let Ok(base) = std::env::var("BASE_PROGRAM") {
            return compare::measure(&base).await;
        }
        measure(&wanted, &mut figures::Figures::new("load")).await;
    });
}

async fn measure(wanted: &[String], figures: &mut figures::Figures) {
    run!(wanted,
        "reads" reads::measure(figures),
        "uncached" reads::uncached::measure(figures),
        "pace" reads::pace::measure(figures),
        "pollers" reads::pollers::measure(figures),
        "allocations" reads::allocations::measure(figures),
        "growth" growth::measure(figures),
        "deliveries" deliveries::measure(figures),
        "latency" latency::measure(figures),
        "backlog" backlog::measure(figures),
        "prompt" prompt::measure(figures),
        "damaged" damaged::measure(figures),
        "audit" audit::measure(figures),
        "streams" streams::measure(figures),
        "tokens" tokens::measure(figures),
        "reports" reports::measure(figures),
    );
    if wanted.iter().any(|word| word == "many") {
        many::measure().await;
    }
}
