//! Data that memory has no room for: the same bytes as with room enough, nothing left behind, a clear refusal.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::ipc::writer::FileWriter;
use serde_json::Value;

use crate::support::{Place, binary};

const ROWS: usize = 400_000;

/// Room for a third of the columns below, half of which gathered columns may take.
const LITTLE: &str = "4MB";

/// Numbers without a pattern, some of them missing, and small ones that repeat.
fn rows() -> &'static [(Option<f64>, f64)] {
    static ALL: LazyLock<Vec<(Option<f64>, f64)>> = LazyLock::new(|| {
        let number = |row: usize| ((row * 7_919) % 1_000_003) as f64 / 3.0 - 1e5;
        (0..ROWS).map(|row| ((row % 97 != 5).then(|| number(row)), (row % 31) as f64)).collect()
    });
    &ALL
}

fn text(form: &str) -> Vec<u8> {
    let number = |x: Option<f64>, missing: &str| x.map_or_else(|| missing.to_owned(), |x| format!("{x:?}"));
    let lines = |line: &dyn Fn(Option<f64>, f64) -> String| {
        rows().iter().map(|(x, y)| line(*x, *y)).collect::<Vec<_>>()
    };
    match form {
        "csv" => "x,y\n".to_owned() + &lines(&|x, y| format!("{},{y}\n", number(x, ""))).concat(),
        "ndjson" => lines(&|x, y| format!("{{\"x\":{},\"y\":{y}}}\n", number(x, "null"))).concat(),
        "rows.json" => {
            "[".to_owned()
                + &lines(&|x, y| format!("{{\"x\":{}, \"y\":{y}}}", number(x, "null"))).join(",\n")
                + "]"
        }
        _ => {
            let (x, y) = (lines(&|x, _| number(x, "null")), lines(&|_, y| y.to_string()));
            format!("{{\"x\":[{}],\"y\":[{}]}}", x.join(","), y.join(", "))
        }
    }
    .into_bytes()
}

fn arrow() -> Vec<u8> {
    let x: Float64Array = rows().iter().map(|(x, _)| *x).collect();
    let y = Float64Array::from_iter_values(rows().iter().map(|(_, y)| *y));
    let columns: [(&str, ArrayRef); 2] = [("x", Arc::new(x)), ("y", Arc::new(y))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    (0..ROWS).step_by(10_000).for_each(|from| writer.write(&batch.slice(from, 10_000)).unwrap());
    writer.into_inner().unwrap()
}

/// What a job has found and stored, but for times.
fn outcome(place: &Place, response: &Value) -> (Value, Value, Vec<u8>) {
    let job = response["job_id"].as_str().unwrap();
    let folder = place.bucket().join("normalized_data").join(job);
    let mut parts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    parts.sort();
    assert!(!parts.is_empty());
    let bytes = parts.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let results = |pipeline: &str| response["spark_processing"][pipeline]["columns"].clone();
    assert_eq!(response["spark_processing"]["agreement"], true);
    (results("rdd_results"), response["gpu_processing"]["columns"].clone(), bytes)
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn what_memory_cannot_hold_gives_the_same_bytes_as_with_room_enough() {
    let mut expected = None;
    for name in ["x.csv", "x.ndjson", "x.rows.json", "x.columns.json", "x.arrow"] {
        let place = Place::new();
        let content = if name == "x.arrow" { arrow() } else { text(&name[2..]) };
        let file = place.file(name, content);
        let spill = place.dir.path().join("spill");
        std::fs::create_dir(&spill).unwrap();
        let options =
            ["--pipeline", "both", "--output-format", "parquet", "--spill-folder", spill.to_str().unwrap()];
        for limit in [LITTLE, "1GB"] {
            // Without room for a byte on the disk, only what needs none can succeed.
            let refused = place.process(
                &[&[file.to_str().unwrap(), "--memory-limit", limit, "--spill-limit", "1"][..], &options[..]]
                    .concat(),
            );
            assert_eq!(refused.code() == 0, limit == "1GB", "{name} {limit}: {}", refused.stderr());
            let response = place.response(&file, &[&options[..], &["--memory-limit", limit]].concat());
            let found = outcome(&place, &response);
            assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{name} within {limit}");
            assert_eq!(names(&spill), Vec::<String>::new(), "{name}: what was spilled is gone");
        }
    }
}

#[test]
fn a_disk_that_has_no_room_is_said_so_before_it_is_full() {
    let place = Place::new();
    let file = place.file("x.csv", text("csv"));
    let run = place.process(&[file.to_str().unwrap(), "--memory-limit", LITTLE, "--spill-limit", "2MB"]);
    assert_ne!(run.code(), 0);
    assert!(run.stderr().contains("2.0 MB are allowed"), "{}", run.stderr());
    assert!(run.stderr().contains("--spill-limit"), "{}", run.stderr());
    let small = place.dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "none"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        println!("skipped: a small disk cannot be mounted here");
        return;
    }
    let run = place.process(&[
        file.to_str().unwrap(),
        "--memory-limit",
        LITTLE,
        "--spill-folder",
        small.to_str().unwrap(),
    ]);
    let left = names(&small);
    let unmounted = std::process::Command::new("umount").arg(&small).status().unwrap();
    assert!(unmounted.success(), "nobody uses the disk any more");
    assert_ne!(run.code(), 0);
    assert!(run.stderr().contains("has no room for the rows that memory cannot hold"), "{}", run.stderr());
    assert!(run.stderr().contains("--spill-folder"), "{}", run.stderr());
    assert_eq!(left, Vec::<String>::new());
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_leaves_nothing_of_what_it_had_spilled() {
    let place = Place::new();
    let file = place.file("x.csv", text("csv"));
    let spill = place.dir.path().join("spill").canonicalize().unwrap_or_else(|_| {
        std::fs::create_dir(place.dir.path().join("spill")).unwrap();
        place.dir.path().join("spill").canonicalize().unwrap()
    });
    let mut child = binary()
        .args(["process", "--memory-limit", LITTLE, "--pipeline", "both", "--spill-folder"])
        .arg(&spill)
        .arg("--storage")
        .arg(place.bucket())
        .arg(&file)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let open = format!("/proc/{}/fd", child.id());
    let spilled = || {
        let files = std::fs::read_dir(&open).into_iter().flatten().flatten();
        files.flat_map(|entry| std::fs::read_link(entry.path())).find(|link| link.starts_with(&spill))
    };
    let seen = loop {
        if let Some(link) = spilled() {
            break link;
        }
        assert!(child.try_wait().unwrap().is_none(), "the process ended, and nobody saw it spill");
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.to_string_lossy().ends_with("(deleted)"), "it has a name: {seen:?}");
    assert_eq!(names(&spill), Vec::<String>::new());
    // Whoever comes next is not disturbed.
    place.response(&file, &["--memory-limit", LITTLE, "--spill-folder", spill.to_str().unwrap()]);
}

#[test]
fn two_thousand_columns_of_text_have_room_in_little_memory() {
    const COLUMNS: usize = 2_000;
    let place = Place::new();
    let header: Vec<String> = (0..COLUMNS).map(|c| format!("c{c}")).collect();
    let mut content = header.join(",") + "\n";
    for row in 0..2_500 {
        let cells: Vec<String> = (0..COLUMNS).map(|c| ((row * 31 + c * 7) % 1_000).to_string()).collect();
        content += &(cells.join(",") + "\n");
    }
    let file = place.file("wide.csv", content);
    let found = ["48MB", "2GB"].map(|limit| {
        let options = ["--memory-limit", limit, "--pipeline", "rdd", "--output-format", "parquet"];
        let response = place.response(&file, &options);
        response["spark_processing"]["rdd_results"]["columns"].clone()
    });
    assert_eq!(found[0].as_object().unwrap().len(), COLUMNS);
    assert_eq!(found[0]["c1999"]["count"], 2_500);
    assert!(found[0] == found[1]);
}
