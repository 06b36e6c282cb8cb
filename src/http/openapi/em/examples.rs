//! Answers as examples. They are EM's documents as the simulator writes and the transcoder reads them, recorded in
//! `examples.json` by `tests/it/em_examples.rs`, with lists cut to their first item.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

const RECORDED: &str = include_str!("examples.json");

static EXAMPLES: LazyLock<BTreeMap<String, Value>> =
    LazyLock::new(|| serde_json::from_str(RECORDED).unwrap_or_default());

/// The answer recorded under `METHOD /path`, with `?action=` or `?type=` where EM distinguishes operations by it, and
/// ` as reference` behind it for that form.
pub(super) fn of(key: &str) -> Option<&'static Value> {
    EXAMPLES.get(key)
}
