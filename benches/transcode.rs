//! The transcoder against the bare event loop of quick-xml over the same bytes in the same run.
//!
//! `cargo bench --bench transcode`. Runs are interleaved and medians taken, because machines are shared and clocks
//! change; the ratio is what counts, megabytes per second are those of the XML.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use emgate::catalogue;
use emgate::transcode::{Mode, decode, decode_into, encode};
use quick_xml::Reader;
use quick_xml::events::Event;

const ROUNDS: usize = 41;

fn main() {
    let load = {
        let start = Instant::now();
        let loaded = catalogue::load(catalogue::SOURCES);
        black_box(&loaded);
        start.elapsed()
    };
    println!(
        "catalogue      read and checked in {:.1} ms",
        load.as_secs_f64() * 1e3
    );
    let _ = catalogue::catalogue();

    for (name, indent) in [("1,000 sessions", false), ("1,000 sessions, indented", true)] {
        let xml = sessions(1000, indent);
        compare(name, xml.as_bytes(), "QueryResult");
    }
    compare("one task", TASK.as_bytes(), "Task");
}

fn compare(name: &str, xml: &[u8], root: &str) {
    let json = match decode(xml) {
        Ok(decoded) => decoded.json,
        Err(e) => return eprintln!("{name}: {e}"),
    };
    // Small documents several times over, so that one measurement is some milliseconds.
    let times = (2_000_000 / xml.len()).max(1);
    let mut bare = Vec::new();
    let mut forth = Vec::new();
    let mut reused = Vec::new();
    let mut back = Vec::new();
    for _ in 0..ROUNDS {
        bare.push(time(times, || events(xml)));
        forth.push(time(times, || decode(xml).map_or(0, |d| d.json.len())));
        // Fresh memory costs page faults, which say more about the machine than about the transcoder.
        let mut memory = vec![0; 2 * xml.len()];
        reused.push(time(times, || {
            match decode_into(xml, std::mem::take(&mut memory)) {
                Ok(done) => {
                    memory = done.json;
                    memory.len()
                }
                Err(_) => 0,
            }
        }));
        back.push(time(times, || {
            encode(&json, root, Mode::Document).map_or(0, |x| x.len())
        }));
    }
    let rate = |bytes: usize, t: Duration| (bytes * times) as f64 / 1e6 / t.as_secs_f64();
    let (bare, forth, reused, back) = (median(bare), median(forth), median(reused), median(back));
    println!("{name}: {} bytes of XML, {} bytes of JSON", xml.len(), json.len());
    println!("  bare events  {:8.1} MB/s", rate(xml.len(), bare));
    for (what, taken) in [("XML to JSON", reused), ("in new memory", forth)] {
        println!(
            "  {what:<13}{:8.1} MB/s   {:.2} of the bare events",
            rate(xml.len(), taken),
            bare.as_secs_f64() / taken.as_secs_f64()
        );
    }
    println!("  JSON to XML  {:8.1} MB/s of JSON", rate(json.len(), back));
}

fn time(times: usize, mut run: impl FnMut() -> usize) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        black_box(run());
    }
    start.elapsed()
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Every event once, and nothing done with it.
fn events(xml: &[u8]) -> usize {
    let mut reader = Reader::from_reader(black_box(xml));
    let mut count = 0;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => return count,
            Ok(event) => {
                black_box(&event);
                count += 1;
            }
        }
    }
}

/// A query result with sessions of two machines each, as EM answers `format=Entities`.
fn sessions(count: usize, indent: bool) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\">\n  <Entities>\n    <CloudFailoverSessions>\n",
    );
    for i in 0..count {
        let _ = write!(
            xml,
            r#"      <CloudFailoverSession Type="CloudFailoverSession" Href="https://em.lab.example:9398/api/cloud/failoverSessions/12295005-66e6-477d-a6d3-{i:012x}?format=Entity" Name="Failover plan of tenant {}" UID="urn:veeam:CloudFailoverSession:12295005-66e6-477d-a6d3-{i:012x}">
        <Links>
          <Link Rel="Up" Type="BackupServerReference" Href="https://em.lab.example:9398/api/backupServers/4ceb4e03-d23d-4c4e-be05-21580b260243" Name="vbr.lab.example" />
          <Link Rel="Alternate" Type="CloudFailoverSessionReference" Href="https://em.lab.example:9398/api/cloud/failoverSessions/12295005-66e6-477d-a6d3-{i:012x}" Name="Failover plan of tenant {}" />
        </Links>
        <JobType>FailoverPlan</JobType>
        <CreationTimeUTC>2026-01-13T16:21:35.74Z</CreationTimeUTC>
        <EndTimeUTC>2026-01-13T16:23:16.11Z</EndTimeUTC>
        <State>Stopped</State>
        <Result>Success</Result>
        <Progress>100</Progress>
        <CloudFailoverTasks>
"#,
            i % 50,
            i % 50
        );
        for vm in ["filesrv", "database"] {
            let _ = write!(
                xml,
                r#"          <CloudFailoverTasks VmName="{vm}{i:04}">
            <VmReplicaPointLink Rel="Related" Type="CloudVmReplicaPointReference" Href="https://em.lab.example:9398/api/cloud/vmReplicaPoints/c1beab6b-2b18-47f1-9e71-{i:012x}" Name="{vm}{i:04}@2026-01-13 05:00:46" />
            <CreationTimeUTC>2026-01-13T16:21:40.13Z</CreationTimeUTC>
            <State>Stopped</State>
            <Result>Success</Result>
            <Progress>100</Progress>
          </CloudFailoverTasks>
"#
            );
        }
        xml.push_str("        </CloudFailoverTasks>\n      </CloudFailoverSession>\n");
    }
    xml.push_str("    </CloudFailoverSessions>\n  </Entities>\n  <PagingInfo PageNum=\"1\" PageSize=\"1000\" PagesCount=\"1\" />\n</QueryResult>\n");
    if indent {
        xml
    } else {
        xml.lines().map(str::trim_start).collect()
    }
}

const TASK: &str = r#"<Task xmlns="http://www.veeam.com/ent/v1.0" Type="Task" Href="https://em.lab.example:9398/api/tasks/task-1"><Links><Link Rel="Delete" Type="Task" Href="https://em.lab.example:9398/api/tasks/task-1" /><Link Rel="Related" Href="https://em.lab.example:9398/api/cloud/failoverSessions/a986d473-0248-4884-9832-17ec982ee393?format=Entity" Name="Failover plan" Type="CloudFailoverSession" /></Links><TaskId>task-1</TaskId><State>Finished</State><Operation>StartCloudFailoverPlan</Operation><Result Success="true"><Message>Ok</Message></Result></Task>"#;
