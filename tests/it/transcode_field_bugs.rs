//! Seventeen things that converters in the field get wrong, p01 to p17: each is named by its test.

use emgate::transcode::{DecodeError, decode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::transcode_decode::value;
use crate::transcode_rules::{of, refused, session};

#[test]
fn p01_one_element_is_still_an_array() {
    let one = session("<Links><Link Rel='Up'/></Links>");
    assert_eq!(one["links"], json!([{"rel": "up"}]));
    let repeated = of(
        "<Job><JobScheduleOptions><Standart><OptionsDaily><Days>Monday</Days></OptionsDaily></Standart></JobScheduleOptions></Job>",
    );
    assert_eq!(
        repeated.pointer("/jobScheduleOptions/standart/optionsDaily/days"),
        Some(&json!(["Monday"]))
    );
}

#[test]
fn p02_a_list_is_there_when_it_is_empty_or_missing() {
    for inside in [
        "",
        "<Links/>",
        "<Links></Links>",
        "<Links> <!-- none --> </Links>",
        "<Links xsi:nil='true'/>",
    ] {
        let json = session(inside);
        assert_eq!(json["links"], json!([]), "{inside}");
        assert_eq!(json["cloudFailoverTasks"], json!([]), "{inside}");
    }
}

#[test]
fn p03_attributes_are_kept() {
    let json = of("<Link Rel='Up'/>".replace("Link", "EntityRef").as_str());
    assert_eq!(json["rel"], "up");
    let json = of("<Task Type='Task' Href='/api/tasks/task-1'/>");
    assert_eq!(
        json,
        json!({"type": "Task", "href": "/api/v1/em/tasks/task-1", "links": []})
    );
}

#[rstest]
// Both unknown to the catalogue.
#[case("<New Level='1'><Level>2</Level></New>", "/new", json!({"levelAttribute": "1", "level": "2"}))]
// The attribute unknown, the child known.
#[case("<State>Working</State>", "/state", json!("Working"))]
fn p04_an_attribute_and_a_child_of_one_name_stay_distinct(
    #[case] inside: &str,
    #[case] pointer: &str,
    #[case] expected: Value,
) {
    let json = of(&format!(
        "<CloudFailoverSession State='odd'>{inside}</CloudFailoverSession>"
    ));
    assert_eq!(json.pointer(pointer), Some(&expected));
    assert_eq!(json["stateAttribute"], "odd");
}

#[test]
fn p04_a_known_attribute_gives_its_name_to_an_unknown_child() {
    let json = of("<CloudFailoverSession Name='a'><Name>b</Name></CloudFailoverSession>");
    assert_eq!(json["name"], "b");
    assert_eq!(json["nameAttribute"], "a");
    // Without the attribute the child is the field, only in another place.
    let json = of("<CloudFailoverSession><Name>b</Name></CloudFailoverSession>");
    assert_eq!(json["name"], "b");
    assert!(json.get("nameAttribute").is_none());
}

#[test]
fn p05_no_text_is_lost_around_cdata_comments_and_instructions() {
    let json = session("<FailureMessage>a<![CDATA[<b>]]>c<!-- no -->d<?x y?>e&amp;f</FailureMessage>");
    assert_eq!(json["failureMessage"], "a<b>cde&f");
    let json = session("<Progress>4<!-- -->2</Progress><State><![CDATA[Working]]></State>");
    assert_eq!(json["progress"], 42);
    assert_eq!(json["state"], "Working");
}

#[test]
fn p06_leading_zeros_of_text_are_kept() {
    assert_eq!(session("<JobName>0042</JobName>")["jobName"], "0042");
    assert_eq!(
        session("<CloudFailoverTasks><CloudFailoverTasks VmName='007'/></CloudFailoverTasks>")
            .pointer("/cloudFailoverTasks/0/vmName"),
        Some(&json!("007"))
    );
}

#[test]
fn p07_numbers_are_numbers() {
    assert_eq!(session("<Progress>100</Progress>")["progress"], json!(100));
    assert_eq!(of("<Error StatusCode='404'/>")["statusCode"], json!(404));
    assert_eq!(session("<Progress> -7\n</Progress>")["progress"], json!(-7));
}

#[test]
fn p08_booleans_are_booleans_however_em_spells_them() {
    for (text, expected) in [
        ("true", true),
        ("True", true),
        ("1", true),
        ("FALSE", false),
        ("0", false),
        (" false ", false),
    ] {
        assert_eq!(
            of(&format!("<Task><Result Success='{text}'/></Task>")).pointer("/result/success"),
            Some(&json!(expected)),
            "{text}"
        );
    }
}

#[test]
fn p09_numeric_names_stay_text() {
    for name in ["12", "1e5", "0x10", "NaN", "true", "null", "2026-01-01"] {
        let json = of(&format!(
            "<CloudFailoverSession Name='{name}'><JobName>{name}</JobName></CloudFailoverSession>"
        ));
        assert_eq!(json["name"], name);
        assert_eq!(json["jobName"], name);
    }
}

#[test]
fn p10_nil_is_null() {
    let json = session(
        "<JobName xsi:nil='true'/><Progress i:nil='1'></Progress><EndTimeUTC xsi:nil='true'/><Result nil:nil='false'>None</Result>",
    );
    for name in ["jobName", "progress", "endTimeUtc"] {
        assert_eq!(json[name], Value::Null, "{name}");
        assert!(json.as_object().unwrap().contains_key(name));
    }
    assert_eq!(json["result"], "None");
    let link = session(
        "<CloudFailoverTasks><CloudFailoverTasks><VmReplicaPointLink xsi:nil='true'/></CloudFailoverTasks></CloudFailoverTasks>",
    );
    assert_eq!(
        link.pointer("/cloudFailoverTasks/0/vmReplicaPointLink"),
        Some(&Value::Null)
    );
}

#[test]
fn p11_character_references_are_decoded() {
    let json = of(
        "<CloudFailoverSession Name='R&amp;D &#x2F; &#39;x&#39; &lt;&gt;&quot;&apos; &#x1F600;'><JobName>&#65;&#x42;&amp;</JobName></CloudFailoverSession>",
    );
    assert_eq!(json["name"], "R&D / 'x' <>\"' 😀");
    assert_eq!(json["jobName"], "AB&");
}

#[test]
fn p12_a_byte_order_mark_vanishes_in_utf8_and_utf16() {
    let text = "<?xml version='1.0' encoding='utf-16'?><Error Message='Füße 😀'/>";
    let expected = json!({"message": "Füße 😀"});
    assert_eq!(of(&format!("\u{feff}{text}")), expected);
    let little: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let big: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(value(&little), expected);
    assert_eq!(value(&big), expected);
    assert_eq!(value(little.get(2..).unwrap()), expected, "without the mark");
}

#[test]
fn p13_a_cut_document_is_refused_at_every_byte() {
    let xml = "<?xml version='1.0'?><Task Type='Task'><!-- c --><TaskId>a&amp;<![CDATA[b]]></TaskId><State/></Task>";
    assert!(decode(xml.as_bytes()).is_ok());
    for cut in 0..xml.len() {
        refused(&xml.as_bytes()[..cut]);
    }
}

#[rstest]
#[case("<!DOCTYPE Task><Task/>")]
#[case("<!DOCTYPE Task [<!ENTITY a 'b'>]><Task><TaskId>&a;</TaskId></Task>")]
#[case("<!DOCTYPE Task SYSTEM 'file:///etc/passwd'><Task/>")]
#[case("<!doctype Task><Task/>")]
fn p14_a_dtd_is_refused(#[case] xml: &str) {
    let e = refused(xml.as_bytes());
    assert!(matches!(e, DecodeError::Dtd { .. }), "{e}");
}

#[rstest]
#[case("<Task><TaskId>&nbsp;</TaskId></Task>", "nbsp")]
#[case("<Task Type='&xxe;'/>", "xxe")]
#[case("<Task><New>&evil;</New></Task>", "evil")]
#[case("<Task>&stray;</Task>", "stray")]
fn p14_an_undeclared_entity_is_refused(#[case] xml: &str, #[case] entity: &str) {
    let e = refused(xml.as_bytes());
    assert!(
        matches!(&e, DecodeError::Entity { name, .. } if name == entity),
        "{e}"
    );
}

#[test]
fn p15_prefixes_do_not_matter() {
    let plain = of("<Task Type='Task'><TaskId>1</TaskId><Links><Link Rel='Up'/></Links></Task>");
    let prefixed = of(
        "<v:Task xmlns:v='http://www.veeam.com/ent/v1.0' v:Type='Task'><v:TaskId>1</v:TaskId><v:Links><v:Link v:Rel='Up'/></v:Links></v:Task>",
    );
    assert_eq!(plain, prefixed);
}

#[test]
fn p16_integers_beyond_2_to_53_are_exact() {
    for text in [
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
    ] {
        let xml = format!("<FileSystemEntry><FileEntry><Size>{text}</Size></FileEntry></FileSystemEntry>");
        let json = decode(xml.as_bytes()).unwrap().json;
        let json = String::from_utf8(json).unwrap();
        assert!(json.contains(&format!("\"size\":{text}")), "{json}");
    }
}

#[test]
fn p17_hostile_names_are_only_names() {
    let json = session(
        "<__proto__ constructor='x'><toString>1</toString></__proto__><constructor/><hasOwnProperty>2</hasOwnProperty>",
    );
    assert_eq!(json["__proto__"], json!({"constructor": "x", "toString": "1"}));
    assert_eq!(json["constructor"], "");
    assert_eq!(json["hasOwnProperty"], "2");
}
