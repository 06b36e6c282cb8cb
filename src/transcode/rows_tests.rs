//! Every kind of damage that a row can have, in the middle of a page.

use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::transcode::decode_rows;

const HEAD: &str = "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><CloudFailoverSessions>";
const TAIL: &str = "</CloudFailoverSessions></Entities><PagingInfo PageNum=\"1\" PageSize=\"100\" PagesCount=\"1\"/></QueryResult>";

fn id(number: u32) -> String {
    format!("{number:08x}-0248-4884-9832-17ec982ee393")
}

fn row(number: u32, content: &str) -> String {
    let id = id(number);
    format!(
        "<CloudFailoverSession Href=\"https://em/api/cloud/failoverSessions/{id}?format=Entity\" Name=\"p\" \
         UID=\"urn:veeam:CloudFailoverSession:{id}\">{content}</CloudFailoverSession>"
    )
}

fn page(rows: &[&[u8]]) -> Vec<u8> {
    [HEAD.as_bytes(), &rows.concat(), TAIL.as_bytes()].concat()
}

fn read(xml: &[u8]) -> (Vec<String>, Vec<DamagedRow>) {
    let rows = decode_rows(xml, "CloudFailoverSession").expect("a page");
    let json: Value = serde_json::from_slice(&rows.json).expect("JSON");
    assert_eq!(json["page"]["total"], 1, "{json}");
    let ids = json["items"].as_array().expect("items").iter();
    (
        ids.map(|item| item["id"].as_str().unwrap_or("none").to_owned())
            .collect(),
        rows.damaged,
    )
}

const DEEP: usize = 70;

fn deep() -> Vec<u8> {
    row(2, &format!("{}{}", "<X>".repeat(DEEP), "</X>".repeat(DEEP))).into_bytes()
}

fn latin() -> Vec<u8> {
    let text = row(2, "<FailureMessage>caf? is down</FailureMessage>");
    text.bytes().map(|b| if b == b'?' { 0xE9 } else { b }).collect()
}

#[rstest]
#[case::bad_entity(row(2, "<FailureMessage>&ouml;</FailureMessage>").into_bytes())]
#[case::bare_ampersand(row(2, "<FailureMessage>R & D</FailureMessage>").into_bytes())]
#[case::surrogate(row(2, "<FailureMessage>&#xD800;</FailureMessage>").into_bytes())]
#[case::repeated(row(2, "<State>Working</State><State>Stopped</State>").into_bytes())]
#[case::too_deep(deep())]
#[case::mismatched(row(2, "<State>Working</Stat>").into_bytes())]
#[case::unclosed(row(2, "<State>Working").into_bytes())]
#[case::stray_end(row(2, "</State>").into_bytes())]
#[case::no_end(row(2, "<State>Working</State>").replace("</CloudFailoverSession>", "").into_bytes())]
#[case::broken_end(row(2, "").replace("</CloudFailoverSession>", "</CloudFailoverSession").into_bytes())]
#[case::broken_start(row(2, "").replacen("<CloudFailoverSession ", "<CloudFailoverSess ", 1).into_bytes())]
#[case::open_quote(row(2, "").replace("Name=\"p\"", "Name=\"p").into_bytes())]
#[case::bracket_in_a_value(row(2, "").replace("Name=\"p\"", "Name=\"<p\"").into_bytes())]
#[case::attribute_twice(row(2, "").replace("Name=\"p\"", "Name=\"p\" Name=\"q\"").into_bytes())]
#[case::open_cdata(row(2, "<FailureMessage><![CDATA[x</FailureMessage>").into_bytes())]
#[case::open_comment(row(2, "<!-- x").into_bytes())]
fn a_damaged_row_is_skipped_and_named_by_its_id(#[case] damaged: Vec<u8>) {
    for place in 0..3 {
        let (one, three) = (row(1, "<State>Working</State>"), row(3, "<State>Stopped</State>"));
        let mut rows: Vec<&[u8]> = vec![one.as_bytes(), three.as_bytes()];
        rows.insert(place, &damaged);
        let (read, found) = read(&page(&rows));
        assert_eq!(read, [id(1), id(3)], "place {place}");
        assert_eq!(found.len(), 1, "place {place}: {found:?}");
        assert_eq!(found[0].ids, [id(2)], "place {place}");
        assert!(!found[0].repaired);
    }
}

#[rstest]
#[case::escape(row(2, "<FailureMessage>\u{1b}[31mfailed</FailureMessage>").into_bytes())]
#[case::escape_in_a_value(row(2, "").replace("Name=\"p\"", "Name=\"\u{1b}\"").into_bytes())]
#[case::not_utf8(latin())]
fn a_row_with_characters_that_no_document_may_hold_is_damaged(#[case] damaged: Vec<u8>) {
    let (one, three) = (row(1, ""), row(3, ""));
    let (read, found) = read(&page(&[one.as_bytes(), &damaged, three.as_bytes()]));
    assert_eq!(read, [id(1), id(2), id(3)]);
    assert_eq!((found[0].ids.clone(), found[0].repaired), (vec![id(2)], true));
}

#[test]
fn a_row_whose_uid_is_damaged_is_known_by_its_address_or_not_at_all() {
    let no_uid = row(2, "<State>&x;</State>").replace("urn:veeam", "urn:veem");
    let (_, found) = read(&page(&[no_uid.as_bytes()]));
    assert_eq!(found[0].ids, [id(2)]);
    let escaped = no_uid
        .replace('/', "&#x2F;")
        .replace("&#x2F;State", "/State")
        .replace("<&#x2F;", "</");
    let (_, found) = read(&page(&[escaped.as_bytes()]));
    assert_eq!(found[0].ids, [id(2)]);
    let nameless = no_uid.replace("Href", "Hreff");
    let (read, found) = read(&page(&[row(1, "").as_bytes(), nameless.as_bytes()]));
    assert_eq!((read, found[0].ids.clone()), (vec![id(1)], vec![]));
}

#[test]
fn rows_that_a_cdata_section_without_its_end_swallows_are_named() {
    let open = row(1, "<JobType><![CDATA[x</JobType>");
    let closed = row(3, "<FailureMessage><![CDATA[y]]></FailureMessage>");
    let (read, found) = read(&page(&[
        open.as_bytes(),
        row(2, "").as_bytes(),
        closed.as_bytes(),
        row(4, "").as_bytes(),
    ]));
    assert_eq!(read, [id(4)]);
    let named: Vec<String> = found.into_iter().flat_map(|row| row.ids).collect();
    assert_eq!(named, [id(1), id(2), id(3)]);
}

#[test]
fn rows_within_comments_or_cdata_sections_are_ignored() {
    let quoted = format!("<FailureMessage><![CDATA[{}]]></FailureMessage>", row(9, ""));
    let rows = [
        row(1, &quoted),
        format!("<!-- {} -->", row(8, "")),
        row(2, "<State>&x;</State>"),
    ]
    .concat();
    let (read, found) = read(&page(&[rows.as_bytes()]));
    assert_eq!((read, found.len()), (vec![id(1)], 1));
}

#[test]
fn a_page_that_is_cut_or_carries_a_dtd_is_refused_whether_rows_are_damaged_or_not() {
    let damaged = row(2, "<State>&x;</State>");
    let whole = page(&[row(1, "").as_bytes(), damaged.as_bytes(), row(3, "").as_bytes()]);
    for end in 0..whole.len() {
        assert!(
            decode_rows(&whole[..end], "CloudFailoverSession").is_err(),
            "cut at {end}"
        );
    }
    let dtd = [b"<!DOCTYPE QueryResult [<!ENTITY x \"y\">]>", whole.as_slice()].concat();
    assert!(matches!(
        decode_rows(&dtd, "CloudFailoverSession"),
        Err(DecodeError::Dtd { .. })
    ));
}

#[test]
fn what_is_read_row_by_row_is_what_is_read_as_a_whole() {
    let rows: Vec<String> = (1..5)
        .map(|number| row(number, "<State>Working</State><AddedLater a=\"b\">x</AddedLater>"))
        .collect();
    let healthy: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
    let whole = decode_rows(&page(&healthy), "CloudFailoverSession").expect("a page");
    assert!(whole.damaged.is_empty());
    let damaged = row(9, "<State>&x;</State>");
    let with = [&healthy[..2], &[damaged.as_bytes()], &healthy[2..]].concat();
    let apart = decode_rows(&page(&with), "CloudFailoverSession").expect("a page");
    assert_eq!(
        String::from_utf8(apart.json).expect("text"),
        String::from_utf8(whole.json).expect("text")
    );
    assert_eq!(apart.anomalies, whole.anomalies);
}

fn slices(xml: &[u8]) -> Option<Vec<String>> {
    let ranges = crate::transcode::rows_within(xml, "CloudFailoverSession")?;
    let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&xml[range]).into_owned();
    Some(ranges.into_iter().map(text).collect())
}

#[test]
fn rows_that_are_whole_can_be_taken_out() {
    let rows = [
        row(1, "<State>Working</State>"),
        "<CloudFailoverSession Name=\"a > b\"/>".to_owned(),
        row(
            2,
            "<FailureMessage><![CDATA[</CloudFailoverSession>]]></FailureMessage><!-- <CloudFailoverSession> -->",
        ),
        row(3, ""),
    ];
    let bytes: Vec<&[u8]> = vec![
        rows[0].as_bytes(),
        b"\r\n  ",
        rows[1].as_bytes(),
        rows[2].as_bytes(),
        rows[3].as_bytes(),
    ];
    assert_eq!(slices(&page(&bytes)).expect("whole rows"), rows);
    assert_eq!(slices(&page(&[])), Some(vec![]));
}

#[rstest]
#[case::nested(row(2, "<CloudFailoverSession/>").into_bytes())]
#[case::nested_with_content(row(2, "<CloudFailoverSession>x</CloudFailoverSession>").into_bytes())]
#[case::text_between(b"between".to_vec())]
#[case::comment_between(b"<!-- <CloudFailoverSession/> -->".to_vec())]
#[case::another_element(b"<Other/>".to_vec())]
#[case::no_end(row(2, "").replace("</CloudFailoverSession>", "").into_bytes())]
#[case::no_begin(b"</CloudFailoverSession>".to_vec())]
#[case::another_list([TAIL.as_bytes(), HEAD.as_bytes()].concat())]
#[case::nul(row(2, "\0").into_bytes())]
fn rows_of_a_page_that_is_made_in_another_way_are_not_taken_out(#[case] between: Vec<u8>) {
    let (one, other) = (row(1, ""), row(3, ""));
    let xml = page(&[one.as_bytes(), &between, other.as_bytes()]);
    assert_eq!(slices(&xml), None);
    let utf16: Vec<u8> = String::from_utf8(page(&[one.as_bytes()]))
        .expect("text")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(slices(&utf16), None);
}
