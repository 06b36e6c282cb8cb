//! Whatever stands in a configuration file and one variable: no panic, and a refusal that names something.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, name, value) = input;
    if name.contains('\0') || value.contains('\0') {
        return;
    }
    if let Err(error) = emgate::config::parse(text, [(format!("EMGATE_{name}"), value)]) {
        assert!(!error.faults.is_empty());
    }
});
