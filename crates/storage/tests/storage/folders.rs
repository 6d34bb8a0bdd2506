//! Folders of files and objects on S3 as sources: as if their rows stood in one file, or a fault that names the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::FileWriter;
use caudal_core::job::LOCAL_OWNER;
use caudal_core::request::Source;
use caudal_core::{ErrorKind, Result};
use caudal_storage::{Bucket, Datasets, S3Location, SourceOptions, SpillOptions, Table};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::support::{minute, record, stage, table_of};

/// Two columns of numbers and one of words, rows `begin` to `end`.
fn batch(begin: usize, end: usize) -> RecordBatch {
    let plain: Float64Array = (begin..end).map(|row| (row % 7 > 0).then_some(row as f64 / 7.0)).collect();
    let whole: Int64Array = (begin..end).map(|row| Some(row as i64 * 3)).collect();
    let words: StringArray = (begin..end).map(|row| Some(format!("w{row}"))).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("plain", Arc::new(plain)), ("whole", Arc::new(whole)), ("words", Arc::new(words))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(batch: &RecordBatch, group: usize) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn arrow(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn csv(begin: usize, end: usize) -> Vec<u8> {
    let row = |row: usize| match row % 7 {
        0 => format!(",{},w{row}\n", row * 3),
        _ => format!("{},{},w{row}\n", row as f64 / 7.0, row * 3),
    };
    ("plain,whole,words\n".to_owned() + &(begin..end).map(row).collect::<String>()).into_bytes()
}

fn ndjson(begin: usize, end: usize) -> Vec<u8> {
    let row = |row: usize| match row % 7 {
        0 => format!("{{\"plain\":null,\"whole\":{},\"words\":\"w{row}\"}}\n", row * 3),
        // Another order of the columns is the same to whoever reads by name.
        _ => format!("{{\"plain\":{},\"words\":\"w{row}\",\"whole\":{}}}\n", row as f64 / 7.0, row * 3),
    };
    (begin..end).map(row).collect::<String>().into_bytes()
}

/// Reads what a URI names, whatever it is allowed to be.
async fn read(uri: &str, options: SourceOptions, bucket: Bucket, columns: Option<&[&str]>) -> Result<Table> {
    let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let mut record = record(1, minute(0));
    record.request.source = Some(Source { uri: uri.into(), format: None, columns });
    let source = Datasets::new(bucket, options).source(&stage(record)).await?;
    tokio::task::spawn_blocking(move || table_of(&source)).await.unwrap()
}

async fn read_folder(folder: &Path, columns: Option<&[&str]>) -> Result<Table> {
    let options = SourceOptions {
        allowed_roots: vec![folder.to_owned()],
        memory_limit: 1 << 30,
        spill: SpillOptions { folder: std::env::temp_dir(), limit: 1 << 30 },
        ..SourceOptions::default()
    };
    read(&format!("file:{}", folder.display()), options, Bucket::memory(), columns).await
}

/// Columns and rows, to the bit.
fn bits(table: &Table) -> (usize, Vec<(String, Vec<u64>, u64)>) {
    let column = |column: &caudal_storage::Column| {
        // Every NaN is the same missing value.
        let bits = column.values.iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() });
        (column.name.clone(), bits.collect(), column.inexact_integers)
    };
    (table.rows, table.columns.iter().map(column).collect())
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

type Encode = fn(usize, usize) -> Vec<u8>;

const FORMS: [(&str, Encode); 4] = [
    ("parquet", |begin, end| parquet(&batch(begin, end), 50)),
    ("arrow", |begin, end| arrow(&batch(begin, end))),
    ("csv", csv),
    ("ndjson", ndjson),
];

#[tokio::test]
async fn the_files_of_a_folder_are_one_source_in_byte_order_of_their_paths() {
    for (form, encode) in FORMS {
        let (many, one) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        // "a.…" comes before "a/…", since a dot does before a slash.
        let names = [format!("a.{form}"), format!("a/x.{form}"), format!("a/y.{form}"), format!("b.{form}")];
        for (name, (begin, end)) in names.iter().zip([(0, 100), (100, 101), (101, 400), (400, 1000)]) {
            write(many.path(), name, encode(begin, end));
        }
        write(many.path(), &format!("a/empty.{form}"), "");
        for name in ["_SUCCESS", ".hidden", "_temporary/part", "a/.crc"] {
            write(many.path(), name, "nothing of this is data");
        }
        write(one.path(), &format!("all.{form}"), encode(0, 1000));
        let (many, one) =
            (read_folder(many.path(), None).await.unwrap(), read_folder(one.path(), None).await.unwrap());
        assert!(bits(&many) == bits(&one), "{form}");
        assert_eq!((&many.skipped, many.format), (&one.skipped, one.format), "{form}");
    }
}

#[tokio::test]
async fn a_column_that_does_not_agree_is_told_with_its_file() {
    let other = |columns: [(&str, ArrayRef); 2]| RecordBatch::try_from_iter(columns).unwrap();
    let numbers = || Arc::new(Float64Array::from(vec![1.0])) as ArrayRef;
    let words = || Arc::new(StringArray::from(vec!["one"])) as ArrayRef;
    let cases = [
        (
            "parquet",
            parquet(&other([("x", numbers()), ("y", numbers())]), 9),
            parquet(&other([("x", numbers()), ("z", numbers())]), 9),
        ),
        (
            "arrow",
            arrow(&other([("x", numbers()), ("y", numbers())])),
            arrow(&other([("x", numbers()), ("z", numbers())])),
        ),
        ("csv", b"x,y\n1,2\n".to_vec(), b"z,x\n1,2\n".to_vec()),
        ("ndjson", b"{\"x\":1,\"y\":2}\n".to_vec(), b"{\"z\":1,\"x\":2}\n".to_vec()),
    ];
    for (form, first, second) in cases {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &format!("a.{form}"), first);
        write(folder.path(), &format!("b.{form}"), second);
        let error = read_folder(folder.path(), None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidData, "{form}");
        let told: Vec<_> =
            error.faults.first.iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect();
        let expected = [
            format!("b.{form}: the column \"y\" is missing; a.{form} has it"),
            format!("a.{form}: the column \"z\" is missing; b.{form} has it"),
        ];
        assert_eq!(told, expected);
        let named = read_folder(folder.path(), Some(&["x"])).await.unwrap();
        assert_eq!((named.rows, named.columns.len()), (2, 1), "{form}: only what is named has to agree");
    }
    let folder = TempDir::new().unwrap();
    write(folder.path(), "a.parquet", parquet(&other([("x", numbers()), ("y", numbers())]), 9));
    write(folder.path(), "b.parquet", parquet(&other([("x", numbers()), ("y", words())]), 9));
    let error = read_folder(folder.path(), None).await.unwrap_err();
    assert!(error.detail.contains("b.parquet, column y: it holds no numbers (Utf8)"), "{}", error.detail);
}

#[tokio::test]
async fn files_of_several_forms_and_damaged_ones_are_told_with_their_names() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "a.parquet", parquet(&batch(0, 9), 9));
    let second = write(folder.path(), "b.parquet", csv(0, 9));
    let error = read_folder(folder.path(), None).await.unwrap_err();
    assert!(error.detail.contains("b.parquet"), "{}", error.detail);
    std::fs::remove_file(second).unwrap();
    let second = write(folder.path(), "b.csv", csv(0, 9));
    let error = read_folder(folder.path(), None).await.unwrap_err();
    assert!(error.detail.contains("b.csv: it is CSV, and a.parquet is Parquet"), "{}", error.detail);
    std::fs::remove_file(second).unwrap();
    std::fs::remove_file(folder.path().join("a.parquet")).unwrap();
    write(folder.path(), "a.csv", csv(0, 9));
    write(folder.path(), "b.csv", "plain,whole,words\n1,2,x\n1,2\n");
    let error = read_folder(folder.path(), None).await.unwrap_err();
    assert!(error.detail.contains("b.csv: row 2"), "{}", error.detail);
    let empty = TempDir::new().unwrap();
    let error = read_folder(empty.path(), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SourceUnavailable);
}

#[cfg(unix)]
#[tokio::test]
async fn links_lead_only_to_files_below_allowed_folders() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let inside = write(folder.path(), "a.csv", csv(0, 5));
    let outside = write(elsewhere.path(), "b.csv", csv(5, 9));
    std::os::unix::fs::symlink(&inside, folder.path().join("again.csv")).unwrap();
    assert_eq!(read_folder(folder.path(), None).await.unwrap().rows, 10);
    std::os::unix::fs::symlink(&outside, folder.path().join("out.csv")).unwrap();
    let error = read_folder(folder.path(), None).await.unwrap_err();
    assert!(
        error.kind == ErrorKind::SourceUnavailable && error.detail.contains("out.csv"),
        "{}",
        error.detail
    );
}

#[tokio::test]
async fn ten_thousand_files_take_no_more_descriptors_than_one() {
    let folder = TempDir::new().unwrap();
    let content = parquet(&batch(1, 4), 9);
    for number in 0..10_000 {
        std::fs::write(folder.path().join(format!("{number:05}.parquet")), &content).unwrap();
    }
    let table = read_folder(folder.path(), Some(&["whole"])).await.unwrap();
    assert_eq!(table.rows, 30_000);
    assert!(table.columns[0].values.chunks(3).all(|rows| rows == [3.0, 6.0, 9.0]));
}

#[tokio::test]
async fn two_thousand_columns_in_two_files_whose_orders_differ() {
    let values = |column: usize, begin: usize| -> Float64Array {
        (begin..begin + 50).map(|row| Some((row * 2_000 + column) as f64)).collect()
    };
    let file = |begin: usize, order: &mut dyn Iterator<Item = usize>| {
        let columns = order.map(|c| (format!("c{c}"), Arc::new(values(c, begin)) as ArrayRef));
        parquet(&RecordBatch::try_from_iter(columns).unwrap(), 20)
    };
    let folder = TempDir::new().unwrap();
    write(folder.path(), "a.parquet", file(0, &mut (0..2_000)));
    write(folder.path(), "b.parquet", file(50, &mut (0..2_000).rev()));
    let table = read_folder(folder.path(), None).await.unwrap();
    assert_eq!((table.rows, table.columns.len()), (100, 2_000));
    for (c, column) in table.columns.iter().enumerate() {
        assert_eq!(column.name, format!("c{c}"));
        assert!(column.values.iter().enumerate().all(|(row, x)| *x == (row * 2_000 + c) as f64), "{c}");
    }
}

#[tokio::test]
async fn an_upload_is_read_by_its_owner_once_it_is_complete() {
    let folder = TempDir::new().unwrap();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let place = folder.path().join("uploads").join(id);
    let content = csv(0, 20);
    write(&place, "data", &content);
    let upload = |owner: &str, completed: &str| {
        let record = format!(
            "{{\"upload_id\":\"{id}\",\"owner\":\"{owner}\",\"size\":{},\"part_size\":1000000,\"format\":\"csv\",\
             \"created_at\":\"2026-11-25T04:00:00Z\",\"expires_at\":\"2999-01-01T00:00:00Z\",\"completed_at\":{completed}}}",
            content.len()
        );
        write(&place, "upload.json", record);
        let bucket = Bucket::open_folder(folder.path()).unwrap();
        let options = SourceOptions { memory_limit: 1 << 30, ..SourceOptions::default() };
        let uri = format!("upload:{id}");
        async move { read(&uri, options, bucket, None).await }
    };
    assert_eq!(upload(LOCAL_OWNER, "\"2026-11-25T05:00:00Z\"").await.unwrap().rows, 20);
    let others = upload("somebody", "\"2026-11-25T05:00:00Z\"").await.unwrap_err();
    assert!(others.kind == ErrorKind::SourceUnavailable && others.detail.contains("no upload"), "{others}");
    let open = upload(LOCAL_OWNER, "null").await.unwrap_err();
    assert!(open.detail.contains("not complete"), "{open}");
}

/// Against a server, as `.ci/s3` starts it.
#[cfg(feature = "s3")]
mod on_s3 {
    use object_store::aws::AmazonS3Builder;
    use object_store::path::Path as Key;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;
    use crate::support::{on_server, server};

    struct Place {
        location: S3Location,
        store: Arc<dyn ObjectStore>,
    }

    impl Place {
        fn new() -> Option<Place> {
            let endpoint = server("CAUDAL_TEST_S3")?;
            let location = on_server(&endpoint);
            let builder = AmazonS3Builder::new()
                .with_endpoint(&endpoint)
                .with_allow_http(true)
                .with_bucket_name(&location.bucket)
                .with_region("us-east-1")
                .with_access_key_id("test")
                .with_secret_access_key("testtest");
            Some(Place { location, store: Arc::new(builder.build().unwrap()) })
        }

        async fn put(&self, name: &str, content: Vec<u8>) {
            let key = Key::parse(format!("{}/{name}", self.location.prefix)).unwrap();
            self.store.put(&key, content.into()).await.unwrap();
        }

        async fn read(&self, name: &str, memory_limit: u64, columns: Option<&[&str]>) -> Result<Table> {
            let options = SourceOptions {
                allowed_s3: vec![self.location.clone()],
                memory_limit,
                spill: SpillOptions { folder: std::env::temp_dir(), limit: 1 << 30 },
                ..SourceOptions::default()
            };
            read(&self.location.uri(name), options, Bucket::memory(), columns).await
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn objects_of_every_form_are_read_as_files_are() {
        let Some(place) = Place::new() else { return };
        for (form, encode) in FORMS {
            let folder = TempDir::new().unwrap();
            write(folder.path(), &format!("all.{form}"), encode(0, 30_000));
            let expected = read_folder(folder.path(), None).await.unwrap();
            // Its name is written as it is, and in the URI with escapes.
            place.put(&format!("{form}/a b%25#.{form}"), encode(0, 30_000)).await;
            let found = place.read(&format!("{form}/a b%25#.{form}"), 1 << 30, None).await;
            assert!(bits(&found.unwrap()) == bits(&expected), "{form}");
            for (number, begin) in (0..30_000).step_by(10_000).enumerate() {
                place.put(&format!("{form}s/{number}.{form}"), encode(begin, begin + 10_000)).await;
            }
            place.put(&format!("{form}s/_SUCCESS"), Vec::new()).await;
            let found = place.read(&format!("{form}s/"), 1 << 30, None).await.unwrap();
            assert!(bits(&found) == bits(&expected), "{form}s/");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_large_object_is_read_in_pieces_with_little_memory() {
        let Some(place) = Place::new() else { return };
        // Some 16 MB, of which one column is read, with room for 8 pieces of 1 MB.
        place.put("large.parquet", parquet(&batch(0, 600_000), 600_000)).await;
        let table = place.read("large.parquet", 1, Some(&["plain", "whole"])).await.unwrap();
        assert_eq!(table.rows, 600_000);
        let whole = &table.columns[1].values;
        assert!(whole.iter().enumerate().all(|(row, x)| *x == row as f64 * 3.0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_not_allowed_or_not_there_is_told() {
        let Some(place) = Place::new() else { return };
        place.put("a/x.csv", csv(0, 9)).await;
        let missing = place.read("b.csv", 1 << 30, None).await.unwrap_err();
        let told = missing.full_text();
        assert!(told.contains("there is no object") && told.contains("slash at its end"), "{told}");
        let none = place.read("b/", 1 << 30, None).await.unwrap_err();
        assert!(none.detail.contains("there are no objects below"), "{}", none.full_text());
        let elsewhere =
            S3Location { prefix: format!("{}-beside", place.location.prefix), ..place.location.clone() };
        let uri = elsewhere.uri("x.csv");
        let options = SourceOptions { allowed_s3: vec![place.location.clone()], ..SourceOptions::default() };
        let outside = read(&uri, options, Bucket::memory(), None).await.unwrap_err();
        assert!(outside.detail.contains("lies outside"), "{}", outside.full_text());
    }
}
