//! Temporary figures of speed; not kept.
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use caudal_core::request::SourceFormat;
use caudal_storage::{ScanControl, scan};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn figures() {
    let rows = 10_000_000usize;
    let mut x = 1u64;
    let mut next = move || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 11) as f64 / 1e15
    };
    let full = Float64Array::from_iter_values((0..rows).map(|_| next()));
    let gaps: Float64Array = (0..rows).map(|i| (i % 10 != 0).then_some(i as f64)).collect();
    let ints = Int64Array::from_iter_values((0..rows).map(|i| (i % 1000) as i64));
    let cols: [(&str, ArrayRef); 3] =
        [("full", Arc::new(full)), ("gaps", Arc::new(gaps)), ("ints", Arc::new(ints))];
    let batch = RecordBatch::try_from_iter(cols).unwrap();
    for (what, compression, group, dict) in [
        ("plain 1Mi", Compression::UNCOMPRESSED, 1 << 20, false),
        ("snappy 1Mi dict", Compression::SNAPPY, 1 << 20, true),
        ("plain one group", Compression::UNCOMPRESSED, 1 << 30, false),
        ("plain groups of 1000", Compression::UNCOMPRESSED, 1000, false),
    ] {
        let p = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(group))
            .set_dictionary_enabled(dict)
            .build();
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("x.parquet");
        let mut w =
            ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), Some(p)).unwrap();
        w.write(&batch).unwrap();
        w.close().unwrap();
        let t = std::time::Instant::now();
        let source = crate::support::open(&path, SourceFormat::Parquet, None).await.unwrap();
        eprintln!("{what}: open {:?}", t.elapsed());
        for (c, name) in ["full", "gaps", "ints"].iter().enumerate() {
            for threads in [1, 2] {
                let mut best = f64::MAX;
                for _ in 0..3 {
                    let t = std::time::Instant::now();
                    let control = ScanControl { threads, ..ScanControl::silent() };
                    scan(
                        &source,
                        &[c],
                        &control,
                        || 0.0,
                        |s, _, _, b| {
                            *s += b[0];
                            Ok(())
                        },
                    )
                    .unwrap();
                    best = best.min(t.elapsed().as_secs_f64());
                }
                eprintln!("  {name} {threads} threads: {:.2} ns/row", best * 1e9 / rows as f64);
            }
        }
    }
}
