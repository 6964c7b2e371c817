//! Hostile input: random bytes, damaged documents, nesting, entities, sizes. Every answer keeps the invariants, and every
//! answer comes soon.

mod invariants;

use intake::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, FINDINGS_MAX};
use intake::{Format, IntakeError, Outcome, read};
use proptest::prelude::*;

const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1"><testsuite name="s" tests="4" time="1.5"><properties><property name="a" value="b"/></properties>
<testcase classname="c" name="one" time="0.1"/><testcase classname="c" name="two"><failure message="&lt;m&gt;">t&#10;</failure></testcase>
<testcase name="three"><skipped/></testcase><testcase name="four"><flakyError/><system-out><![CDATA[out]]></system-out></testcase>
</testsuite><testsuite name="broken"><error/></testsuite></testsuites>"#;

const SARIF: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","semanticVersion":"1.0.0","rules":[
{"id":"a","defaultConfiguration":{"level":"error"},"properties":{"security-severity":"7.5"}},{"id":"b"}]}},"results":[
{"ruleId":"a","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"f"},"region":{"startLine":3}}}]},
{"ruleIndex":1,"level":"note","kind":"fail","partialFingerprints":{"p":"1"},"suppressions":[{"kind":"external"}]},
{"ruleId":"b","kind":"pass"},{"ruleId":"c","baselineState":"absent"},{"ruleId":"c"},{"ruleId":"c"}]}]}"#;

const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"serialNumber":"urn:uuid:1","metadata":{"tools":[
{"name":"t","version":"1"}],"component":{"type":"application","name":"app","bom-ref":"app"}},"components":[{"type":"library",
"bom-ref":"r1","name":"l","version":"2","purl":"pkg:npm/l@2","components":[{"type":"file","name":"f"}]}],"services":[{"bom-ref":"s"}],
"dependencies":[{"ref":"app","dependsOn":["r1","r2"]}],"vulnerabilities":[{"id":"CVE-1","ratings":[{"severity":"high","score":7.1},
{"severity":"low"}],"affects":[{"ref":"r1"}]},{"id":"CVE-2","analysis":{"state":"not_affected"}}]}"#;

const DOCUMENTS: [(Format, &str); 3] =
    [(Format::Junit, JUNIT), (Format::Sarif, SARIF), (Format::CyclonedxJson, CYCLONEDX)];

/// What mutation puts in: the pieces that mean something to the readers.
const PIECES: [&str; 24] = [
    "<",
    ">",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-1",
    "1e999",
    "\\ud800",
    "\u{0}",
    "\u{202e}",
    "&a;",
    "&#0;",
    "<!DOCTYPE a>",
    "<testcase>",
    "<failure/>",
    "\"results\":[],",
    "\"severity\":\"critical\",",
    "\"level\":{},",
    "\u{feff}",
];

fn any_format() -> impl Strategy<Value = Format> {
    proptest::sample::select(Format::ALL)
}

/// One change to a document: where, how many bytes go, what comes instead.
fn any_change() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let piece = prop_oneof![
        proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    (any::<prop::sample::Index>(), 0_usize..40, piece)
}

fn changed(document: &str, changes: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = document.as_bytes().to_vec();
    for (at, removed, piece) in changes {
        let begin = at.index(bytes.len() + 1);
        let end = (begin + removed).min(bytes.len());
        bytes.splice(begin..end, piece.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600), format in any_format()) {
        invariants::check(&bytes, format);
    }

    #[test]
    fn damaged_documents_are_answered(
        document in proptest::sample::select(&DOCUMENTS[..]),
        changes in proptest::collection::vec(any_change(), 1..6),
        format in any_format(),
    ) {
        let bytes = changed(document.1, &changes);
        invariants::check(&bytes, document.0);
        invariants::check(&bytes, format);
    }

    #[test]
    fn truncated_documents_are_refused(document in proptest::sample::select(&DOCUMENTS[..]), at in any::<prop::sample::Index>()) {
        let (format, text) = document;
        let cut = &text.as_bytes()[..at.index(text.len())];
        prop_assert!(read(cut, Some(format)).is_err());
    }

    #[test]
    fn identities_do_not_depend_on_white_space_or_other_results(spaces in "[ \n\t]{0,20}", number in 0_usize..20) {
        let ids = |text: &str| -> Vec<String> {
            read(text.as_bytes(), None).unwrap().findings.into_iter().map(|finding| finding.external_id).collect()
        };
        let extra = r#"{"ruleId":"new","message":{"text":"other"}},"#.repeat(number);
        let later = SARIF.replacen("\"results\":[", &format!("\"results\":{spaces}[{extra}"), 1);
        let later = ids(&later);
        prop_assert!(ids(SARIF).iter().all(|id| later.contains(id)));
    }
}

#[test]
fn the_documents_are_read() {
    for (format, text) in DOCUMENTS {
        invariants::check(text.as_bytes(), format);
        let report = read(text.as_bytes(), None).unwrap();
        assert_eq!((report.format, report.outcome), (format, Outcome::Fail));
        let with_mark = format!("\u{feff}{text}");
        assert_eq!(read(with_mark.as_bytes(), None).unwrap(), report, "a byte order mark changes nothing");
    }
}

#[test]
fn nesting_is_refused_without_being_followed() {
    let levels = 2_000_000;
    let too_deep = Err(IntakeError::TooDeep { limit: DEPTH_MAX });
    for (format, text) in [
        (Format::Junit, "<testsuite>".repeat(levels)),
        (Format::Sarif, format!("{{\"runs\":{}", "[".repeat(levels))),
        (Format::Sarif, format!("{{\"runs\":1,\"x\":{}", "{\"a\":".repeat(levels))),
        (
            Format::CyclonedxJson,
            format!("{{\"bomFormat\":\"CycloneDX\",{}", "\"components\":[{".repeat(levels)),
        ),
    ] {
        assert_eq!(read(text.as_bytes(), Some(format)), too_deep);
        assert_eq!(read(text.as_bytes(), None), too_deep);
    }
}

#[test]
fn entities_are_never_expanded_or_fetched() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
        <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><testsuite name="&c;"/>"#;
    let outside = r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>"#;
    for text in [laughs, outside] {
        assert!(matches!(read(text.as_bytes(), Some(Format::Junit)), Err(IntakeError::Malformed { .. })));
        assert!(read(text.as_bytes(), None).is_err());
    }
}

#[test]
fn what_is_too_large_is_refused_unread() {
    let bytes = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    for format in Format::ALL {
        let refused = Err(IntakeError::TooLarge { limit: DOCUMENT_BYTES_MAX });
        assert_eq!(read(&bytes, Some(*format)), refused);
    }
}

#[test]
fn cyclonedx_in_xml_is_named_and_not_read() {
    let text = r#"<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4"/>"#;
    for format in [None, Some(Format::CyclonedxJson)] {
        let error = read(text.as_bytes(), format).unwrap_err();
        assert_eq!(error.to_string(), "it is CycloneDX in XML, which is not read yet");
    }
}

/// Documents made so that a careless reader takes hours: many results that share one rule, one long text, one long list.
#[test]
fn sharing_does_not_multiply_work() {
    let long = "x".repeat(4_000_000);
    let results = r#"{"ruleIndex":0,"locations":[{"physicalLocation":{"artifactLocation":{"index":0}}}]},"#
        .repeat(100_000);
    let shared = format!(
        r#"{{"runs":[{{"tool":{{"driver":{{"rules":[{{"id":"{long}","shortDescription":{{"text":"{long}"}},
        "defaultConfiguration":{{"level":"{long}"}}}}]}}}},"artifacts":[{{"location":{{"uri":"{long}"}}}}],"results":[{results}{{}}]}}]}}"#
    );
    let report = read(shared.as_bytes(), None).unwrap();
    assert_eq!(report.findings.len(), FINDINGS_MAX);
    assert!(report.findings_truncated);
    let rules: String =
        (0..200_000).fold(String::new(), |text, number| text + &format!(r#"{{"id":"r{number}"}},"#));
    let unknown = r#"{"ruleId":"unknown"},"#.repeat(200_000);
    let many = format!(
        r#"{{"runs":[{{"tool":{{"driver":{{"rules":[{rules}{{}}]}}}},"results":[{unknown}{{}}]}}]}}"#
    );
    assert_eq!(read(many.as_bytes(), None).unwrap().metrics["resultsWithoutRuleMetadata"], 200_001);
    let affects = r#"{"ref":"r"},"#.repeat(300_000);
    let affected = format!(
        r#"{{"bomFormat":"CycloneDX","components":[{{"bom-ref":"r","name":"{long}"}}],"vulnerabilities":[{{"affects":[{affects}{{}}]}}]}}"#
    );
    assert_eq!(read(affected.as_bytes(), None).unwrap().metrics["affectsRefs"], 300_001);
    let attributes: String =
        (0..300_000).fold(String::new(), |text, number| text + &format!(" a{number}='b'"));
    let wide = format!("<testsuite{attributes}>{}</testsuite>", "<error/>".repeat(100_000));
    assert!(read(wide.as_bytes(), None).unwrap().findings_truncated);
}
