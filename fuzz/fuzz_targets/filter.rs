//! The filter language.

#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target uses its own")]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| checks::filtering(input));
