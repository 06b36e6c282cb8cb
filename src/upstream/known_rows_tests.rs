//! Whatever happens to the rows of a list between two looks: what is read of it is what a reader finds that has never seen it.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::Deserialize;

use super::*;

const ROW: &str = "CloudFailoverSession";

/// What a row says: enough to tell each from each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    uid: Option<String>,
    state: Option<String>,
    progress: Option<i64>,
    failure_message: Option<String>,
}

/// One step of a list's life.
#[derive(Debug, Clone)]
enum Step {
    /// A row has another state and progress.
    Goes(prop::sample::Index, u8),
    /// One is new, behind all others or somewhere among them.
    Comes(prop::sample::Index),
    Leaves(prop::sample::Index),
    /// Two change their places.
    Swaps(prop::sample::Index, prop::sample::Index),
    /// A row is damaged, or made in another way than EM makes them.
    Breaks(prop::sample::Index, &'static str),
    /// What is around the rows changes.
    Frame(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let contents = prop::sample::select(vec![
        "<FailureMessage>&ouml;</FailureMessage>",
        "<State>Working",
        "</State>",
        "<FailureMessage><![CDATA[</CloudFailoverSession>]]></FailureMessage>",
        "<!-- <CloudFailoverSession> -->",
        "<CloudFailoverSession><State>Stopped</State></CloudFailoverSession>",
        "<FailureMessage>\u{1}</FailureMessage>",
        "</CloudFailoverSession><CloudFailoverSession UID=\"another\">",
        "</CloudFailoverSession>between<CloudFailoverSession>",
    ]);
    prop_oneof![
        6 => (index(), any::<u8>()).prop_map(|(at, to)| Step::Goes(at, to % 4)),
        2 => index().prop_map(Step::Comes),
        1 => index().prop_map(Step::Leaves),
        1 => (index(), index()).prop_map(|(one, other)| Step::Swaps(one, other)),
        1 => (index(), contents).prop_map(|(at, content)| Step::Breaks(at, content)),
        1 => any::<u8>().prop_map(Step::Frame),
    ]
}

#[derive(Default)]
struct List {
    rows: Vec<String>,
    made: usize,
    frame: u8,
}

impl List {
    fn take(&mut self, step: &Step) {
        let count = self.rows.len();
        match step {
            Step::Comes(at) => {
                self.made += 1;
                self.rows
                    .insert(at.index(count + 1), row(self.made, "Starting", 0, ""));
            }
            _ if count == 0 => {}
            Step::Goes(at, to) => {
                let (at, to) = (at.index(count), usize::from(*to));
                self.rows[at] = row(at + 1, ["Starting", "Working", "Stopping", "Stopped"][to], to, "");
            }
            Step::Leaves(at) => drop(self.rows.remove(at.index(count))),
            Step::Swaps(one, other) => self.rows.swap(one.index(count), other.index(count)),
            Step::Breaks(at, content) => {
                let at = at.index(count);
                self.rows[at] = row(at + 1, "Working", 1, content);
            }
            Step::Frame(frame) => self.frame = *frame,
        }
    }

    fn page(&self) -> Bytes {
        let (rows, frame) = (
            self.rows.join(["", "\n  "][usize::from(self.frame % 2)]),
            self.frame,
        );
        let page = format!(
            "<?xml version=\"1.0\"?><QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\" xmlns:x=\"urn:{}\">\
             <Entities><CloudFailoverSessions>{rows}</CloudFailoverSessions></Entities>\
             <PagingInfo PageNum=\"1\" PageSize=\"100\" PagesCount=\"{frame}\"/></QueryResult>",
            frame % 3
        );
        page.into()
    }
}

fn row(number: usize, state: &str, progress: usize, content: &str) -> String {
    format!(
        "<CloudFailoverSession Name=\"p\" UID=\"urn:veeam:CloudFailoverSession:{number:08x}-0248-4884-9832-17ec982ee393\">\
         <State>{state}</State><Progress>{progress}</Progress>{content}</CloudFailoverSession>"
    )
}

type Read = Result<(Vec<Said>, u32, bool, Vec<crate::upstream::Damaged>), String>;

async fn said(known: &KnownPages, page: Bytes) -> Read {
    let asked = PageRequest {
        page: 1,
        page_size: 100,
        sort: None,
    };
    let read = read(known, ROW, page, &asked, |said: Said| {
        said.uid.is_some().then_some(said)
    })
    .await;
    let (rows, fingerprints) = read.map_err(|error| error.to_string())?;
    assert!(fingerprints.is_empty() || fingerprints.len() == rows.page.items.len());
    Ok((rows.page.items, rows.page.total, rows.more, rows.damaged))
}

#[test]
fn a_list_that_changes_is_read_as_by_one_who_has_never_seen_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let looks = prop::collection::vec(prop::collection::vec(any_step(), 0..6), 1..12);
    let mut runner = TestRunner::new(Config {
        cases: 400,
        ..Config::default()
    });
    let outcome = runner.run(&looks, |looks| {
        let (mut list, known) = (List::default(), KnownPages::default());
        for steps in looks {
            for step in &steps {
                list.take(step);
            }
            let (again, fresh) = runtime.block_on(async {
                let again = said(&known, list.page()).await;
                (again, said(&KnownPages::default(), list.page()).await)
            });
            known.end_walk();
            prop_assert_eq!(again, fresh);
        }
        Ok(())
    });
    outcome.expect("the same");
}

#[tokio::test]
async fn only_the_rows_that_did_not_come_before_are_decoded() {
    let mut list = List::default();
    let known = KnownPages::default();
    list.rows = (1..=3).map(|number| row(number, "Starting", 0, "")).collect();
    said(&known, list.page()).await.expect("a page");
    let whole = |list: &List| Cut::<Said>::of(ROW, &list.page(), &known).expect("whole rows");
    assert_eq!(whole(&list).rest, List::default().page());
    list.rows[1] = row(2, "Stopped", 100, "");
    let rest = whole(&list).rest;
    let left = String::from_utf8(rest.to_vec()).expect("text");
    assert_eq!(left.matches("<CloudFailoverSession ").count(), 1);
    assert!(left.contains("<State>Stopped</State>"), "{left}");
}
