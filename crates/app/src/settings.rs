//! All settings: read from the defaults, a file, the environment and the command line, checked once.

mod access;
mod gpu;
mod orchestration;
mod retention;
mod server;
mod uploads;
mod webhooks;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caudal_core::{Error, ErrorKind, PriceList, Result};
use caudal_storage::{S3Location, is_s3};
use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;

pub use self::access::{AuthRequired, AuthSettings, CorsSettings, LimitSettings};
pub use self::gpu::GpuSettings;
pub use self::orchestration::OrchestrationSettings;
pub use self::retention::RetentionSettings;
pub use self::server::ServerSettings;
pub use self::uploads::UploadSettings;
pub use self::webhooks::WebhookSettings;

/// The defaults, with a comment for each setting.
pub const DEFAULTS: &str = include_str!("../caudal.default.toml");

/// Read when it lies in the working folder and no other file is named.
const DEFAULT_FILE: &str = "caudal.toml";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub storage: StorageSettings,
    pub sources: SourceSettings,
    pub server: ServerSettings,
    pub uploads: UploadSettings,
    pub webhooks: WebhookSettings,
    pub auth: AuthSettings,
    pub limits: LimitSettings,
    pub cors: CorsSettings,
    pub processing: ProcessingSettings,
    pub spark: SparkSettings,
    pub emr: EmrSettings,
    pub orchestration: OrchestrationSettings,
    pub retention: RetentionSettings,
    pub functions: FunctionSettings,
    pub gpu: GpuSettings,
    pub prices: PriceList,
    /// AWS's own variables, which are the environment's and no settings.
    #[serde(skip)]
    pub aws: AwsVariables,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    folder: PathBuf,
    bucket: String,
    s3_endpoint: String,
    s3_allow_http: bool,
    pub sync: bool,
    #[serde(skip)]
    aws: AwsVariables,
}

/// What the environment says to everything that speaks to AWS. Secret, and so not shown.
#[derive(Clone, Default)]
pub struct AwsVariables(Vec<(String, String)>);

impl std::fmt::Debug for AwsVariables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

impl AwsVariables {
    fn of_environment() -> AwsVariables {
        let named = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("AWS_"))?;
            Some((name, value.into_string().ok()?))
        };
        AwsVariables(std::env::vars_os().filter_map(named).collect())
    }

    /// All of them.
    #[cfg(feature = "emr")]
    pub(crate) fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// One of them, where it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Where everything is stored.
#[derive(Clone, Debug)]
pub enum StorageLocation {
    Folder(PathBuf),
    S3(S3Location),
}

impl StorageSettings {
    /// # Errors
    /// `InvalidRequest` where `storage.bucket` is no place on S3.
    pub fn location(&self) -> Result<StorageLocation> {
        if self.bucket.is_empty() {
            return Ok(StorageLocation::Folder(self.folder.clone()));
        }
        self.on_s3(&self.bucket).map(StorageLocation::S3)
    }

    /// A place on S3, reached as the settings and AWS's variables say.
    fn on_s3(&self, uri: &str) -> Result<S3Location> {
        Ok(S3Location {
            variables: self.aws.0.clone(),
            endpoint: (!self.s3_endpoint.is_empty()).then(|| self.s3_endpoint.clone()),
            allow_http: self.s3_allow_http,
            ..S3Location::parse(uri)?
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    allowed_roots: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessingSettings {
    memory_limit: String,
    spill_folder: String,
    spill_limit: String,
    threads: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparkSettings {
    home: String,
    java_home: String,
    pub master: String,
    folder: String,
}

/// Services of AWS that run applications of Spark.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmrSettings {
    pub on: String,
    pub application: String,
    pub role: String,
    pub minutes: u32,
    pub cluster: String,
    pub release: String,
    pub service_role: String,
    pub instance_profile: String,
    pub subnet: String,
    pub master_type: String,
    pub core_type: String,
    pub core_count: u32,
    pub look_seconds: f64,
    pub log_seconds: f64,
    pub intent_seconds: f64,
}

/// Functions on AWS Lambda that do a part of the work; empty names for none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSettings {
    pub service: String,
    pub orchestrator: String,
    pub gpu_processing: String,
    pub spark_launcher: String,
    stage_seconds: f64,
}

/// What the command line says; `None` leaves a setting as it was.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub storage: Option<PathBuf>,
    pub address: Option<String>,
    /// Whether every request has to show a key or token.
    pub authenticate: bool,
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub allowed_roots: Vec<PathBuf>,
    pub memory_limit: Option<String>,
    /// Where applications of Spark run.
    pub master: Option<String>,
    pub spill_folder: Option<PathBuf>,
    pub spill_limit: Option<String>,
}

/// The settings that are lists; in the environment their entries stand between commas.
const LISTS: [&str; 5] =
    ["sources.allowed_roots", "server.hosts", "auth.audiences", "auth.algorithms", "cors.allowed_origins"];

/// As the entries stand there: one that is a number is a name all the same.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn list_of_environment(list: &str) -> Option<Vec<String>> {
    let variable = format!("CAUDAL__{}", list.replace('.', "__").to_uppercase());
    std::env::var(variable).ok().map(|text| entries(&text))
}

fn entries(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

impl Settings {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// `InvalidRequest` naming the setting and what was expected.
    pub fn load(overrides: &Overrides) -> Result<Settings> {
        let file = match &overrides.config {
            Some(path) => File::from(path.as_path()).format(FileFormat::Toml).required(true),
            None => File::from(Path::new(DEFAULT_FILE)).format(FileFormat::Toml).required(false),
        };
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let storage = overrides.storage.as_ref().map(text);
        let bucket = storage.as_ref().map(|place| if is_s3(place) { place.clone() } else { String::new() });
        let folder = storage.filter(|place| !is_s3(place));
        let mut builder = Config::builder()
            .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
            .add_source(file)
            .add_source(
                Environment::with_prefix("CAUDAL").prefix_separator("__").separator("__").try_parsing(true),
            )
            .set_override_option("storage.folder", folder)
            .and_then(|b| b.set_override_option("storage.bucket", bucket))
            .and_then(|b| b.set_override_option("server.address", overrides.address.clone()))
            .and_then(|b| {
                b.set_override_option("server.tls_certificate", overrides.tls_certificate.as_ref().map(text))
            })
            .and_then(|b| b.set_override_option("server.tls_key", overrides.tls_key.as_ref().map(text)))
            .and_then(|b| b.set_override_option("processing.memory_limit", overrides.memory_limit.clone()))
            .and_then(|b| b.set_override_option("spark.master", overrides.master.clone()))
            .and_then(|b| {
                b.set_override_option("processing.spill_folder", overrides.spill_folder.as_ref().map(text))
            })
            .and_then(|b| b.set_override_option("processing.spill_limit", overrides.spill_limit.clone()))
            .map_err(invalid)?;
        for list in LISTS {
            builder = builder.set_override_option(list, list_of_environment(list)).map_err(invalid)?;
        }
        if overrides.authenticate {
            builder = builder.set_override("auth.required", "always").map_err(invalid)?;
        }
        if !overrides.allowed_roots.is_empty() {
            let roots: Vec<_> = overrides.allowed_roots.iter().map(text).collect();
            builder = builder.set_override("sources.allowed_roots", roots).map_err(invalid)?;
        }
        let mut settings: Settings = builder.build().and_then(Config::try_deserialize).map_err(invalid)?;
        settings.aws = AwsVariables::of_environment();
        settings.storage.aws = settings.aws.clone();
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        self.storage.location()?;
        self.allowed_s3()?;
        self.memory_limit()?;
        self.spill_limit()?;
        self.server.check()?;
        self.auth.check()?;
        self.limits.check()?;
        self.cors.check()?;
        self.orchestration.check()?;
        self.retention.check()?;
        self.uploads.check()?;
        self.webhooks.check()?;
        let emr = [self.emr.look_seconds, self.emr.log_seconds, self.emr.intent_seconds];
        if emr.iter().any(|seconds| !(0.0..=86_400.0).contains(seconds)) {
            return Err(invalid(
                "emr.look_seconds, emr.log_seconds and emr.intent_seconds are 0 to 86400 seconds",
            ));
        }
        if !["", "serverless", "steps"].contains(&self.emr.on.as_str()) {
            let found = &self.emr.on;
            return Err(invalid(format!("emr.on is \"serverless\", \"steps\" or empty, found \"{found}\"")));
        }
        if !(1.0..=900.0).contains(&self.functions.stage_seconds) {
            return Err(invalid("functions.stage_seconds is between 1 and 900 seconds"));
        }
        self.gpu.check()
    }

    /// The folders below which sources may be read.
    pub fn allowed_folders(&self) -> Vec<PathBuf> {
        self.sources.allowed_roots.iter().filter(|root| !is_s3(root)).map(PathBuf::from).collect()
    }

    /// The places on S3 below which sources may be read.
    ///
    /// # Errors
    /// `InvalidRequest` naming a root that is none.
    pub fn allowed_s3(&self) -> Result<Vec<S3Location>> {
        self.sources
            .allowed_roots
            .iter()
            .filter(|root| is_s3(root))
            .map(|root| self.storage.on_s3(root))
            .collect()
    }

    /// Bytes that the columns of one job may take.
    ///
    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn memory_limit(&self) -> Result<u64> {
        match self.processing.memory_limit.as_str() {
            "auto" => Ok(crate::host::memory()? / 2),
            text => byte_size("processing.memory_limit", text),
        }
    }

    /// The folder for columns that memory has no room for.
    pub fn spill_folder(&self) -> PathBuf {
        match self.processing.spill_folder.as_str() {
            "auto" => self.storage.folder.clone(),
            folder => folder.into(),
        }
    }

    /// Bytes that the spilled columns of one job may take.
    ///
    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn spill_limit(&self) -> Result<u64> {
        match self.processing.spill_limit.as_str() {
            "auto" => Ok(u64::MAX),
            text => byte_size("processing.spill_limit", text),
        }
    }

    /// Threads for the statistics.
    pub fn threads(&self) -> usize {
        or_cores(self.processing.threads)
    }

    /// Jobs whose stages run at the same time.
    pub fn running_jobs(&self) -> usize {
        or_cores(self.orchestration.running_jobs)
    }
}

#[cfg(feature = "orchestrator")]
impl SparkSettings {
    /// Where Spark and its Java are looked for.
    pub fn places(&self) -> caudal_spark::Places {
        let named = |setting: &str| (!setting.is_empty()).then(|| PathBuf::from(setting));
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = || {
            let home = || variable("HOME").map(|home| home.join(".cache"));
            variable("XDG_CACHE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir)
        };
        caudal_spark::Places {
            home: named(&self.home),
            spark_home: variable("SPARK_HOME"),
            folder: named(&self.folder).unwrap_or_else(|| cache().join("caudal/spark")),
            path: std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect(),
            java_home: named(&self.java_home).or_else(|| variable("JAVA_HOME")),
        }
    }
}

impl FunctionSettings {
    /// How long the orchestrator waits for another function's report.
    pub fn stage_deadline(&self) -> Duration {
        Duration::from_secs_f64(self.stage_seconds)
    }
}

fn or_cores(setting: usize) -> usize {
    if setting == 0 { crate::host::cores() } else { setting }
}

/// `512MB`, `2GiB`, `1000000`: decimal and binary units, in any case.
fn byte_size(name: &str, text: &str) -> Result<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("TIB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let upper = text.trim().to_ascii_uppercase();
    let unit = UNITS.iter().find(|(unit, _)| upper.ends_with(unit));
    let (digits, factor) =
        unit.map_or((upper.as_str(), 1), |(unit, f)| (&upper[..upper.len() - unit.len()], *f));
    let bytes = digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n > 0);
    bytes.ok_or_else(|| invalid(format!("{name}: expected a size such as \"512MB\", found \"{text}\"")))
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the settings cannot be used: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_holds_every_setting() {
        let settings = Settings::load(&Overrides::default()).unwrap();
        assert_eq!(settings.server.address.to_string(), "127.0.0.1:8080");
        assert!(settings.memory_limit().unwrap() > 0);
        assert!(settings.running_jobs() > 0);
    }

    #[test]
    fn every_list_of_the_default_file_can_come_from_the_environment() {
        let mut section = "";
        let mut found = Vec::new();
        for line in DEFAULTS.lines() {
            match line.strip_prefix('[') {
                Some(name) => section = name.trim_end_matches(']'),
                None if line.contains(" = [") => {
                    found.push(format!("{section}.{}", line.split(' ').next().unwrap_or_default()));
                }
                None => {}
            }
        }
        assert_eq!(found, LISTS);
        assert_eq!(entries(" a, 69234237810729019,,"), ["a", "69234237810729019"]);
    }

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        for (text, bytes) in [("512MB", 512_000_000), ("2GiB", 2 << 30), ("1000", 1000), (" 3 kb ", 3000)] {
            assert_eq!(byte_size("x", text).unwrap(), bytes, "{text}");
        }
        for text in ["", "MB", "-1", "0", "1.5GB", "99999999999TB"] {
            let error = byte_size("processing.memory_limit", text).unwrap_err();
            assert!(error.detail.contains("processing.memory_limit"), "{text}: {}", error.detail);
        }
    }

    #[test]
    fn the_command_line_wins_over_the_defaults() {
        let overrides = Overrides {
            storage: Some("elsewhere".into()),
            address: Some("127.0.0.1:0".into()),
            memory_limit: Some("1GB".into()),
            ..Overrides::default()
        };
        let settings = Settings::load(&overrides).unwrap();
        assert!(
            matches!(settings.storage.location().unwrap(), StorageLocation::Folder(f) if f == Path::new("elsewhere"))
        );
        assert_eq!(settings.server.address.port(), 0);
        assert_eq!(settings.memory_limit().unwrap(), 1_000_000_000);
    }

    #[test]
    fn storage_is_a_folder_or_a_place_on_s3() {
        let at = |place: &str| {
            let overrides = Overrides { storage: Some(place.into()), ..Overrides::default() };
            Settings::load(&overrides).and_then(|settings| settings.storage.location())
        };
        let StorageLocation::S3(location) = at("s3://numbers/of/july/").unwrap() else {
            panic!("no place on S3")
        };
        assert_eq!((location.bucket.as_str(), location.prefix.as_str()), ("numbers", "of/july"));
        assert_eq!(location.uri("jobs"), "s3://numbers/of/july/jobs");
        assert!(matches!(at("./s3:/numbers").unwrap(), StorageLocation::Folder(_)));
        let StorageLocation::S3(location) = at("s3://numbers/a%20b").unwrap() else {
            panic!("no place on S3")
        };
        assert_eq!((location.prefix.as_str(), location.uri("c").as_str()), ("a b", "s3://numbers/a%20b/c"));
        for wrong in ["s3://", "s3:///july", "s3://num bers", "s3://numbers/a//b"] {
            assert!(at(wrong).unwrap_err().detail.contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let overrides = Overrides { address: Some("nowhere".into()), ..Overrides::default() };
        let error = Settings::load(&overrides).unwrap_err();
        assert!(error.detail.contains("server.address"), "{}", error.detail);
    }
}
