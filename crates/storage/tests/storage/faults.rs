//! Faults of text sources: every one is told, with its place and a cure, and none is passed over in silence.

use std::sync::Arc;

use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind};
use caudal_storage::Table;

use crate::support::{read, read_bytes};

async fn good(content: &[u8], format: SourceFormat, columns: Option<&[&str]>) -> Arc<Table> {
    read_bytes(content, format, columns).await.unwrap()
}

async fn bad(content: &[u8], format: SourceFormat, columns: Option<&[&str]>) -> Error {
    let text = String::from_utf8_lossy(content).into_owned();
    let error = read_bytes(content, format, columns).await.expect_err(&text);
    assert_eq!(error.kind, ErrorKind::InvalidData, "{text}");
    assert_eq!(error.faults.first.len() as u64, error.faults.total.min(20), "{text}");
    error
}

/// The faults as `pointer: detail`.
async fn faults(content: impl AsRef<[u8]>, format: SourceFormat, columns: Option<&[&str]>) -> Vec<String> {
    let error = bad(content.as_ref(), format, columns).await;
    error.faults.first.iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect()
}

fn values(table: &Table, name: &str) -> Vec<Option<f64>> {
    let column = table.columns.iter().find(|c| c.name == name).unwrap();
    column.values.iter().map(|x| (!x.is_nan()).then_some(*x)).collect()
}

use SourceFormat::{Csv, Json, Ndjson};

#[tokio::test]
async fn a_quote_that_nothing_closes_is_told_where_it_was_opened() {
    for (content, place) in [
        ("a,b\n1,2\n3,\"4\n5,6\n7,8\n", "row 2, column b: line 3: "),
        ("a,b\r\n1,2\r\n3,\"4\r\n5,6\r\n", "row 2, column b: line 3: "),
        ("a,b\n1,\"2\n2\"\n\n3,\"\"\"\n", "row 2, column b: line 5: "),
        ("a;b\n\"1;2", "row 1, column a: line 2: "),
        ("\u{feff}a\n1\n\"2", "row 2, column a: line 3: "),
        ("a,\"b\n1,2\n", "line 1, column 2: "),
    ] {
        let told = faults(content, Csv, None).await;
        assert_eq!(told.len(), 1, "{content:?}: {told:?}");
        assert!(told[0].starts_with(place), "{content:?}: {told:?}");
        assert!(told[0].contains("expected a quote") && told[0].contains("close the cell"), "{told:?}");
    }
    let told = faults("a,b\nx,1\n2\n3,\"4\n", Csv, Some(&["a"])).await;
    assert_eq!(told.len(), 3, "the faults before it are told as well: {told:?}");
    for content in ["a,b\n1,\"2\"", "a,b\n1,\"2\"\n\n", "a,b\n\"1\",\"2\"\r\n", "a,b\n1,2\"\n"] {
        assert!(read_bytes(content.as_bytes(), Csv, Some(&["a"])).await.is_ok(), "{content:?}");
    }
}

#[tokio::test]
async fn every_fault_of_an_array_is_told_with_its_index() {
    assert_eq!(
        faults(r#"[1,"a",[2],{"x":1},true, null, 5]"#, Json, None).await,
        [
            "/1: expected a number or null, found \"a\"",
            "/2: expected a number or null, found an array",
            "/3: expected a number or null, found an object",
            "/4: expected a number or null, found true",
        ]
    );
    assert_eq!(
        faults(r#"[null, {"a":1}, 5, {"a":"x","b~/c":true}]"#, Json, Some(&["a", "b~/c"])).await,
        [
            "/2: expected an object, found the number 5",
            "/3/a: expected a number, found \"x\"",
            "/3/b~0~1c: expected a number, found true",
        ]
    );
    let many = format!("[{}]", vec!["1,\"x\""; 50].join(","));
    assert_eq!(bad(many.as_bytes(), Json, None).await.faults.total, 50);
}

#[tokio::test]
async fn every_fault_of_an_object_of_arrays_is_told_with_its_column() {
    assert_eq!(
        faults(r#"{"a":[1,"x",null,true],"b":[1,2,3],"c":3,"a":[1]}"#, Json, Some(&["a"])).await,
        [
            "/a/1: expected a number, found \"x\"",
            "/a/3: expected a number, found true",
            "/b: expected 4 elements, as in \"a\", found 3",
            "/c: expected an array of numbers, found the number 3",
            "/a: the column \"a\" stands twice",
        ]
    );
}

#[tokio::test]
async fn every_broken_line_of_ndjson_is_told_with_its_own_number() {
    let told = faults("{\"a\":1}\n{\"a\":}\n\n{\"a\":2\n{\"a\":\"x\"}\n[1]\n", Ndjson, Some(&["a"])).await;
    assert_eq!(
        told,
        [
            "line 2: the line is not JSON: expected value at column 6",
            "line 4: the line is not JSON: EOF while parsing an object at column 6",
            "line 5, column a: expected a number, found \"x\"",
            "line 6: expected an object, found an array",
        ]
    );
}

#[tokio::test]
async fn where_a_document_stops_being_json_is_added_to_the_faults_before() {
    assert_eq!(
        faults("[1,\n\"a\",\n2 3]", Json, None).await,
        [
            "/1: expected a number or null, found \"a\"",
            "line 3: the text stops being JSON: expected `,` or `]` at column 3",
        ]
    );
    assert_eq!(faults("hello", Json, None).await.len(), 1);
}

#[tokio::test]
async fn numbers_that_no_f64_can_hold_are_faults_and_words_for_infinity_are_none() {
    let long = "9".repeat(400);
    let bounds = "expected a number within ±1.7976931348623157e308, found ";
    let told = faults(format!("[1e999,\"x\",{long},-1e400]"), Json, None).await;
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[0], format!("/0: {bounds}1e999"));
    assert_eq!(told[2], format!("/2: {bounds}{}…", &long[..40]));
    assert_eq!(
        faults("{\"a\":1}\n{\"a\":1e999}\n", Ndjson, None).await,
        [format!("line 2, column a: {bounds}1e999")]
    );
    assert_eq!(faults("{\"a\":[1,1e999]}", Json, None).await, [format!("/a/1: {bounds}1e999")]);
    assert_eq!(faults("a\n1\n-1e999\n", Csv, None).await, [format!("row 2, column a: {bounds}-1e999")]);
    let table = good(b"a\ninf\n-Infinity\n1e-999\n", Csv, None).await;
    assert_eq!(values(&table, "a"), [Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(0.0)]);
}

#[tokio::test]
async fn integers_that_lose_digits_are_counted_alike_in_every_text() {
    let integers = [
        "9007199254740993",
        "18446744073709551616",
        "18446744073709551617",
        "-99999999999999999999999",
        "1606938044258990275541962092341162602522202993782792835301376",
        "1606938044258990275541962092341162602522202993782792835301377",
        "1e30",
        "12345678901234567890.5",
    ];
    let csv = format!("a\n{}\n", integers.join("\n"));
    let json = format!("[{}]", integers.join(","));
    let arrays = format!("{{\"a\":{json}}}");
    for (content, format) in [(csv, Csv), (json, Json), (arrays, Json), (integers.join("\n"), Ndjson)] {
        let table = good(content.as_bytes(), format, None).await;
        assert_eq!(table.columns[0].inexact_integers, 4, "{content}");
        assert_eq!(table.columns[0].values[2], 18446744073709551616.0);
    }
}

#[tokio::test]
async fn a_key_that_stands_twice_in_a_row_is_a_fault() {
    assert_eq!(
        faults(r#"[{"a":1,"b":2},{"a":1,"b":2,"a":3}]"#, Json, None).await,
        ["/1/a: the key stands twice in its row"]
    );
    assert_eq!(
        faults("{\"a\":1}\n{\"a\":1,\"a\":1}\n", Ndjson, None).await,
        ["line 2, column a: the key stands twice in its row"]
    );
}

#[tokio::test]
async fn cells_that_are_not_utf8_are_told_with_a_cure() {
    let told = faults(b"a,b\n1,x\n\xe9,y\n3,caf\xe9\n", Csv, None).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("row 2, column a: the cell is not UTF-8, it has the byte 0xE9"), "{told:?}");
    assert!(told[1].starts_with("row 3, column b: ") && told[1].contains("iconv"), "{told:?}");
    let table = good(b"a,b\n1,caf\xe9\n", Csv, Some(&["a"])).await;
    assert_eq!(table.rows, 1, "what nobody asked for is not looked at");
}

#[tokio::test]
async fn a_byte_order_mark_is_passed_over_in_every_text() {
    for (content, format) in [
        ("\u{feff}[1,2]", Json),
        ("\u{feff}{\"value\":[1,2]}", Json),
        ("\u{feff}1\n2\n", Ndjson),
        ("\u{feff}value\n1\n2\n", Csv),
    ] {
        let table = good(content.as_bytes(), format, None).await;
        assert_eq!(values(&table, "value"), [Some(1.0), Some(2.0)], "{content}");
    }
}

#[tokio::test]
async fn empty_lines_in_a_single_column_are_missing_values_but_for_those_at_the_end() {
    let expected = [None, Some(1.0), None, None, Some(2.0), Some(3.0)];
    for end in ["\n", "\r\n", "\r"] {
        for (quote, last) in [("", "\n\n\n"), ("\"", ""), ("", "\r\n\r\n")] {
            let content = format!("x\n\n{quote}1{quote}\n\n\n2\n3{last}").replace('\n', end);
            let table = good(content.as_bytes(), Csv, None).await;
            assert_eq!(values(&table, "x"), expected, "{content:?}");
        }
    }
    let table = good(b"x\n1\n\n9", Csv, None).await;
    assert_eq!(values(&table, "x"), [Some(1.0), None, Some(9.0)], "the last row has no line end");
    let table = good(b"x,y\n1,2\n\n3,4\n", Csv, None).await;
    assert_eq!(table.rows, 2, "an empty line has no two cells");
    let ragged = faults("x,y\r\n1,2\r\n\r\n3\r\n", Csv, None).await;
    assert_eq!(ragged, ["row 2: line 4: expected 2 fields, found 1"]);
}

#[tokio::test]
async fn the_type_of_a_skipped_column_is_what_was_seen_of_it() {
    let csv = "a,b,c,d\n1,x,3,\n2,y,4,\n";
    let table = good(csv.as_bytes(), Csv, Some(&["a"])).await;
    let told: Vec<_> = table.skipped.iter().map(|s| (s.name.as_str(), s.data_type.as_str())).collect();
    assert_eq!(told, [("b", "text"), ("c", "unknown"), ("d", "unknown")]);
    let json = r#"[{"a":1,"b":"x","c":3,"d":null}]"#;
    let table = good(json.as_bytes(), Json, Some(&["a"])).await;
    let told: Vec<_> = table.skipped.iter().map(|s| (s.name.as_str(), s.data_type.as_str())).collect();
    assert_eq!(told, [("b", "text"), ("c", "number"), ("d", "unknown")]);
}

#[tokio::test]
async fn what_the_file_really_is_is_told_as_a_hint() {
    let error = bad(b"{\"a\":1}\n{\"a\":2}\n", Json, None).await;
    assert_eq!(error.faults.first[0].pointer, "line 2");
    assert!(error.hint.unwrap().contains("--input-format ndjson"));
    for format in [Csv, Json, Ndjson, SourceFormat::Parquet] {
        let error = bad(b"\x1f\x8b\x08\0\0\0\0\0\0\x03", format, None).await;
        assert!(error.detail.contains("gzip") && error.hint.unwrap().contains("decompress"), "{format}");
    }
    for (content, format) in [("[{},{}]", Json), ("{}\n{}\n", Ndjson)] {
        let error = bad(content.as_bytes(), format, None).await;
        assert!(error.detail.contains("without keys"), "{}", error.detail);
    }
}

#[tokio::test]
async fn a_fault_of_the_whole_source_has_the_source_as_its_place() {
    for (content, format) in [
        ("", Csv),
        ("a,b\n", Csv),
        ("", Json),
        ("[]", Json),
        ("{}", Json),
        ("{\"a\":[]}", Json),
        ("5", Json),
        ("", Ndjson),
        ("\n", Ndjson),
        ("PAR1xxxx", SourceFormat::Parquet),
        ("ARROW1xxxxxxxx", SourceFormat::Arrow),
    ] {
        let error = bad(content.as_bytes(), format, None).await;
        let places: Vec<_> = error.faults.first.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(places, ["/source"], "{content:?} as {format}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_regular_file_is_refused_before_it_is_opened() {
    let folder = tempfile::TempDir::new().unwrap();
    let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, what) in [
        (pipe.as_path(), "a pipe"),
        (socket.as_path(), "a socket"),
        (std::path::Path::new("/dev/zero"), "a device"),
    ] {
        let error = read(path, Csv, None).await.expect_err(what);
        assert_eq!(error.kind, ErrorKind::SourceUnavailable, "{what}");
        assert!(error.detail.contains(&format!("is {what}; expected one regular file")), "{}", error.detail);
    }
}
