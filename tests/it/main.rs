//! Integration tests: one binary, its modules listed with a line each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that meets the unexpected shall end loudly"
)]

mod address; // where webhooks may go: spellings, the three checks, answers that change
#[cfg(feature = "demo")]
mod approvals; // policies, approvals and dry runs, in one process, over restarts and replicas
#[cfg(feature = "demo")]
mod at_most_once; // one action, one POST, one operation: keys, late answers, late sessions, cancellations
#[cfg(feature = "demo")]
mod attacks; // tokens that must not be believed, a test each, and all of them over TCP
mod audit; // the audit log: its rows, its chain, what no row holds
#[cfg(feature = "demo")]
mod automation; // callers who poll: results, addresses, pauses, models of platforms
#[cfg(feature = "demo")]
mod chat; // whole failovers as Slack, Mattermost and Discord show them, through restarts and deletions
#[cfg(feature = "demo")]
mod client_commands; // the commands that are clients of a gateway, as processes
mod config; // file, environment, defaults, faults
#[cfg(feature = "demo")]
mod connections; // idle ones, heads that stall, all addresses, no descriptors
mod console; // the operators' console: files, logins, the API by cookie
mod delivery; // webhooks over real sockets: signatures, bad receivers, order, recovery, restarts
#[cfg(feature = "demo")]
mod demo; // the demo as a newcomer runs it
#[cfg(feature = "demo")]
mod done_at_once; // writes that Enterprise Manager completes without a task
mod em_bench; // the client of EM against the simulator, and against a scripted server
#[cfg(feature = "demo")]
mod em_examples; // the document's examples of EM's answers, produced
#[cfg(feature = "demo")]
mod end_to_end; // real processes: a plan tested, followed, its end delivered signed
#[cfg(feature = "demo")]
mod event_examples; // the document's examples of events beside what a gateway sends
#[cfg(feature = "demo")]
mod evidence; // objectives and recovery reports: what they say, what they survive, files that were changed
#[cfg(feature = "demo")]
mod flows; // flow definitions of docs/guides, played as their platforms play them
mod fuzz_corpus; // hostile input, through the checks of the fuzz targets
#[cfg(feature = "demo")]
mod guard_auth; // every operation of the document: no token, a bad one, a missing scope
mod guard_circles; // no circle between the files of a room
mod guard_citations; // paths and headings that comments and documents cite exist
mod guard_context; // every verb takes the context of its request
mod guard_imports; // who may import whom, and which crates stay in one room
#[cfg(feature = "demo")]
mod guard_openapi; // the checked-in document is the generated one, complete, and its examples fit
#[cfg(feature = "demo")]
mod guard_query; // every operation of the document: an unknown query parameter, and what is no clean text
mod guard_security; // SECURITY.md: the tests that it names
mod guard_tests; // tests: short names, and one place to wait
#[cfg(feature = "demo")]
mod guides; // the examples of docs/guides, run against a gateway
#[cfg(feature = "demo")]
mod hostile_callers; // slow heads and bodies, answers that are not taken, frames of HTTP/2 that cost too much
#[cfg(feature = "demo")]
mod identity; // tokens of an identity provider; who a caller is, and whose tokens are accepted
#[cfg(feature = "demo")]
mod identity_document; // docs/identity.md: its configurations read, its tokens tried
#[cfg(feature = "demo")]
mod input_rules; // what no body, header or token gets past, on both stores
#[cfg(feature = "demo")]
mod late_answers; // EM's answer when others recorded more; failures that name the operation
#[cfg(feature = "demo")]
mod limits; // requests, actions and endpoints of a subject, strangers of an address
#[cfg(feature = "demo")]
mod lists; // paging, filters, sorting, cursors, event types
#[cfg(feature = "demo")]
mod log_of_ends;
mod log_unread; // the end of each failover is a line in the log and is counted
mod logon_counts; // logons and log-offs of whole processes: bursts, expiry, limits, kills
#[cfg(feature = "demo")]
mod logon_pool; // few logons, none leaked, none of others touched
#[cfg(feature = "demo")]
mod logon_races; // sessions that die under requests, in a scripted order; clocks that are set back
#[cfg(feature = "demo")]
mod logon_share; // more and fewer sessions while they are in use
#[cfg(feature = "demo")]
mod meta; // probes, metrics, documentation, what every answer carries, the listener
#[cfg(feature = "demo")]
mod metrics; // every row of the table of metrics in a scrape, and how many series there are
#[cfg(feature = "demo")]
mod mirror; // Enterprise Manager's paths as JSON: reads, writes, tasks, plans, and all of the catalogue
#[cfg(feature = "demo")]
mod observation; // turns of the watcher: pages that shift, failed reads, namesakes, an EM that forgets
#[cfg(feature = "demo")]
mod postgres_server; // the PostgreSQL server that tests start
#[cfg(feature = "demo")]
mod problems; // the table of errors, row by row
#[cfg(feature = "demo")]
mod public_url; // every address absolute below server.public_url, and none lost behind a prefix
#[cfg(feature = "demo")]
mod remembered; // answers that are remembered: who gets them, what ends the memory
#[cfg(feature = "demo")]
mod replicas; // real processes on one PostgreSQL: one job each, takeover, fencing, the database gone
#[cfg(feature = "demo")]
mod restarts; // real processes, killed and started again
mod rust_source; // modules and paths of the source, read for the guards
#[cfg(feature = "demo")]
mod server_tls; // the listener's certificate while the gateway runs, and SIGHUP
#[cfg(all(feature = "demo", target_os = "linux"))]
mod service_manager; // what the service manager is told: ready, reloading, stopping, alive
#[cfg(feature = "demo")]
mod simulator; // the simulator over TCP: right clients are served, wrong ones fail
#[cfg(feature = "demo")]
mod simulator_world; // every operation of the catalogue against the simulator
mod store_copy; // a store copied to a server by a process that is killed, and the store that comes of it
#[cfg(feature = "demo")]
mod store_faults; // real processes on a store that is full, read-only, or both in turn
mod store_rows; // rows of the store that cannot be read
#[cfg(feature = "demo")]
mod store_start; // real processes: names of one file, unusable databases, slow starts, the version before
#[cfg(feature = "demo")]
mod streams; // streams of events: what they send, where they begin and end, tickets
#[cfg(feature = "demo")]
mod support; // what the others start: gateway, simulator, a client that checks every answer
#[cfg(feature = "demo")]
mod survey; // the catalogue against a server: what is found, what is never told, kills, schema files
#[cfg(feature = "demo")]
mod tenants; // callers who are confined to tenants: what they see, and that nothing shows them the rest
#[cfg(feature = "demo")]
mod traces; // spans as a collector gets them: one story for a test of a plan, collectors that fail
mod transcode_decode; // XML to JSON: fixtures
mod transcode_encode; // JSON to XML, and convert
mod transcode_field_bugs; // what converters in the field get wrong, p01 to p17
mod transcode_generate; // documents that the schema can produce
mod transcode_properties; // what holds for each of them, in both directions
mod transcode_roots; // every document that EM has, in both directions, also through the binary
mod transcode_rules; // the rules of XML to JSON one by one
#[cfg(feature = "demo")]
mod upstream; // plans, actions, tasks and sessions as EM is asked for them
#[cfg(feature = "demo")]
mod upstream_faults; // at most one action on the wire, no endless wait, no trust in what comes back
#[cfg(feature = "demo")]
mod upstream_patience; // how long each class of request may take, and that only reads are repeated
#[cfg(feature = "demo")]
mod upstream_table; // docs/upstream-faults.md, row by row
#[path = "../support/waiting.rs"]
mod waiting; // polling with a deadline, and slowness on purpose
#[cfg(feature = "demo")]
mod webhook_filters; // endpoints whose filter names what nobody knows
#[cfg(feature = "demo")]
mod webhooks; // endpoints, deliveries and callbacks as callers meet them
#[cfg(feature = "demo")]
mod whole_answers; // answers as a whole beside recorded ones
