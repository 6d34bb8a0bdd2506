//! A Spark to test with: a stand-in that speaks the job's protocol, and a real one where the environment names it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Place, Run, Server, binary, root};

/// Names the home of a real Spark; `.ci/spark` sets it.
const REAL: &str = "CAUDAL_TEST_SPARK_HOME";

/// A place with a Spark of its own.
pub struct SparkPlace {
    pub place: Place,
    home: PathBuf,
    real: bool,
}

/// Calls `test` with every Spark that is here, and says which is not.
pub fn with_each(test: impl Fn(&SparkPlace)) {
    match SparkPlace::double() {
        Some(place) => test(&place),
        None => println!("skipped: python3 is not here, and the stand-in for spark-submit is written in it"),
    }
    match std::env::var_os(REAL) {
        Some(home) => test(&SparkPlace { place: Place::new(), home: home.into(), real: true }),
        None => println!("skipped with a real Spark: {REAL} is not set; .ci/spark installs one and sets it"),
    }
}

impl SparkPlace {
    /// With the stand-in; `None` where there is no Python for it.
    pub fn double() -> Option<SparkPlace> {
        let python = Command::new("python3").arg("--version").output();
        python.ok().filter(|done| done.status.success())?;
        let place = Place::new();
        let home = place.dir.path().join("spark");
        fs::create_dir_all(home.join("bin")).expect("a folder");
        fs::create_dir_all(home.join("jars")).expect("a folder");
        fs::write(home.join("jars/spark-core_2.12-3.4.4.jar"), "").expect("a file");
        let double = root().join("crates/processing/spark/tests/double/spark-submit");
        fs::copy(double, home.join("bin/spark-submit")).expect("the stand-in");
        let java = place.dir.path().join("java/bin/java");
        fs::create_dir_all(java.parent().expect("a folder")).expect("a folder");
        fs::write(&java, "#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n").expect("a script");
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).expect("a program");
        Some(SparkPlace { place, home, real: false })
    }

    pub fn is_real(&self) -> bool {
        self.real
    }

    fn folder(&self) -> PathBuf {
        self.place.dir.path().join("caudal")
    }

    /// The environment in which Caudal finds this Spark, and in which the stand-in does what `mode` says.
    fn variables(&self, mode: &str) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![
            ("CAUDAL__SPARK__HOME", self.home.clone()),
            ("CAUDAL__SPARK__FOLDER", self.folder()),
            ("CAUDAL__SPARK__MASTER", "local[2]".into()),
            ("CAUDAL__PROCESSING__MEMORY_LIMIT", "1GiB".into()),
            ("CAUDAL_DOUBLE", mode.into()),
            ("CAUDAL_DOUBLE_BINARY", env!("CARGO_BIN_EXE_caudal").into()),
            ("CAUDAL_DOUBLE_STARTS", self.place.dir.path().join("starts")),
        ];
        if !self.real {
            variables.push(("CAUDAL__SPARK__JAVA_HOME", self.place.dir.path().join("java")));
        }
        variables
    }

    /// `caudal process FILE` on this Spark.
    pub fn command(&self, mode: &str, file: &Path, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.arg("process").arg(file).args(["--engine", "spark"]).args(arguments);
        command.arg("--storage").arg(self.place.bucket()).envs(self.variables(mode));
        command
    }

    /// `caudal spark install`, with this Spark as what an earlier installation has put there.
    pub fn install(&self, mode: &str) -> Command {
        let ours = self.folder().join("pyspark-3.4.4");
        let packages = ours.join("lib/python3/site-packages");
        if !packages.exists() {
            fs::create_dir_all(&packages).expect("a folder");
            fs::write(ours.join("installed.txt"), "").expect("a file");
            std::os::unix::fs::symlink(&self.home, packages.join("pyspark")).expect("a link");
        }
        let mut command = binary();
        command.args(["spark", "install"]).envs(self.variables(mode));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn process(&self, mode: &str, file: &Path, arguments: &[&str]) -> Run {
        Run(self.command(mode, file, arguments).output().expect("the binary runs"))
    }

    pub fn response(&self, file: &Path, arguments: &[&str]) -> Value {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        self.process("", file, &all).json()
    }

    pub fn server(&self, mode: &str) -> Server {
        let variables = self.variables(mode);
        let allowed = self.place.dir.path().to_str().expect("UTF-8");
        Server::start_with(&self.place.bucket(), &["--allow", allowed], &variables)
    }

    /// `caudal doctor --format json`.
    pub fn doctor(&self) -> Value {
        let mut command = binary();
        command.args(["doctor", "--format", "json", "--storage"]).arg(self.place.bucket());
        Run(command.envs(self.variables("")).output().expect("the binary runs")).json()
    }

    /// Processes of this machine whose command line names this place's folder of Caudal's own.
    pub fn processes(&self) -> Vec<u32> {
        let folder = self.folder();
        let needle = folder.to_str().expect("UTF-8").as_bytes().to_vec();
        let ids = fs::read_dir("/proc").expect("Linux").flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let names = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(needle.len()).any(|part| part == needle)
        };
        ids.filter(names).collect()
    }

    /// Waits until Spark runs.
    pub fn wait_for_start(&self) {
        self.wait("Spark does not run", |pids| !pids.is_empty());
    }

    pub fn wait_for_no_process(&self) {
        self.wait("processes of Spark live on", <[u32]>::is_empty);
    }

    fn wait(&self, otherwise: &str, until: impl Fn(&[u32]) -> bool) {
        for _ in 0..1200 {
            if until(&self.processes()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("{otherwise}: {:?}", self.processes());
    }
}

/// Sends a signal as a terminal or an administrator would.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
    assert!(sent.expect("kill runs").success());
}
