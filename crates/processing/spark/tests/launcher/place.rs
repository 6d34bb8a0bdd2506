//! A folder with a Spark and a Java that are scripts, and waits with an end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caudal_spark::{
    JobSpec, Launcher, Machine, Phase, Places, Sizing, SpecOutput, SpecSource, Submission, Submit,
};
use tempfile::TempDir;

const MACHINE: Machine = Machine { cores: 2, memory: 1 << 30 };

pub struct Place(TempDir);

impl Place {
    /// A Spark that does what the mode says; `None`, and a word about it, where there is no Python for the stand-in.
    pub fn new(mode: &str) -> Option<Place> {
        let python = std::process::Command::new("python3").arg("--version").output();
        if !python.is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: python3 is not here, and the stand-in for spark-submit is written in it");
            return None;
        }
        let place = Place(TempDir::new().expect("a folder"));
        let double = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
            .join("tests/double/spark-submit");
        let starts = place.0.path().join("starts");
        let script = format!(
            "#!/bin/sh\nCAUDAL_DOUBLE={mode} CAUDAL_DOUBLE_STARTS={} exec {} \"$@\"\n",
            starts.display(),
            double.display()
        );
        place.program("spark/bin/spark-submit", &script);
        fs::create_dir_all(place.0.path().join("spark/jars")).expect("a folder");
        fs::write(place.0.path().join("spark/jars/spark-core_2.12-3.4.4.jar"), "").expect("a file");
        place.java("17.0.15");
        Some(place)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    fn java(&self, version: &str) {
        self.program("java/bin/java", &format!("#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n"));
    }

    fn places(&self) -> Places {
        Places {
            spark_home: Some(self.0.path().join("spark")),
            folder: self.0.path().join("caudal"),
            java_home: Some(self.0.path().join("java")),
            ..Places::default()
        }
    }

    pub fn submit(&self) -> Submit {
        self.with_master("local[2]")
    }

    pub fn with_master(&self, master: &str) -> Submit {
        Submit::new(self.places(), master.into(), MACHINE)
    }

    pub fn without_spark(&self) -> Submit {
        Submit::new(Places { spark_home: None, ..self.places() }, "local[2]".into(), MACHINE)
    }

    pub fn without_java(&self) -> Submit {
        let nowhere = Some(self.0.path().join("nowhere"));
        Submit::new(Places { java_home: nowhere, ..self.places() }, "local[2]".into(), MACHINE)
    }

    pub fn with_java(&self, version: &str) -> Submit {
        self.java(version);
        self.submit()
    }

    /// The process ids of each start.
    pub fn starts(&self) -> Vec<Vec<u32>> {
        let text = fs::read_to_string(self.0.path().join("starts")).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(|pid| pid.parse().expect("a number")).collect()).collect()
    }

    pub fn work(&self, name: &str) -> PathBuf {
        self.0.path().join("caudal/work").join(name)
    }
}

/// Attempt `attempt` of a job of this name, under the name `{job}-{attempt}`.
pub fn submission(job: &str, attempt: u32) -> Submission {
    let spec = JobSpec {
        job_id: job.into(),
        attempt,
        source: SpecSource { uris: vec!["file:///nowhere".into()], format: "csv", columns: None },
        normalization: "zscore",
        statistics: "full",
        pipelines: vec!["rdd"],
        output: SpecOutput { uri: "file:///nowhere".into(), format: "parquet" },
        results_uri: "file:///nowhere/results.json".into(),
        max_in_memory_json_elements: 1_000_000,
    };
    let sizing = Sizing::of("local[2]", MACHINE, None, 0);
    Submission { name: format!("{job}-{attempt}"), spec, sizing }
}

pub async fn moment() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// How an application ended.
pub async fn ended(launcher: &dyn Launcher, name: &str) -> Phase {
    for _ in 0..3000 {
        match launcher.status(name).await.expect("it is known").phase {
            Phase::Running => moment().await,
            phase => return phase,
        }
    }
    panic!("{name} runs on");
}

/// Whether a process is there and is no zombie.
pub fn lives(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub async fn all_gone(pids: &[u32]) {
    for _ in 0..3000 {
        if !pids.iter().any(|pid| lives(*pid)) {
            return;
        }
        moment().await;
    }
    panic!("of {pids:?} some live on");
}
