//! What a client asks for: the settings of a job, and the inline numbers that may come with it.

use serde::{Deserialize, Serialize};

/// The most elements that `data` may hold in all; a file has no such limit.
pub const MAX_INLINE_ELEMENTS: u64 = 1_000_000;

/// The most columns that one job processes.
pub const MAX_COLUMNS: usize = 16_384;

/// The column name of an array without a name.
pub const UNNAMED_COLUMN: &str = "value";

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? } default $default:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        // Derived, the schema would have the names of the variants: a name that comes through a macro is not seen there.
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some(Self::NAMES.iter().copied()))
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl Default for $name {
            fn default() -> Self { $name::$default }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err(format!("expected one of {}, found \"{text}\"", Self::NAMES.join(", "))),
                }
            }
        }
    };
}

choice! {
    /// How columns are normalised, as scikit-learn's scalers define it.
    Normalization {
        /// (x − mean) / population standard deviation.
        Zscore = "zscore",
        /// (x − min) / (max − min).
        Minmax = "minmax",
        /// x / max |x|.
        Maxabs = "maxabs",
        /// (x − median) / (q3 − q1).
        Robust = "robust",
        None = "none",
    } default Zscore
}
choice! {
    /// Which pipeline computes the statistics; `auto` takes the quicker one as measured on this host.
    PipelineType { Auto = "auto", Rdd = "rdd", Dataframe = "dataframe", Both = "both" } default Auto
}
choice! {
    EngineChoice { Auto = "auto", Embedded = "embedded", Spark = "spark" } default Auto
}
choice! {
    /// `core` is everything but the number of distinct values.
    StatisticsLevel { Full = "full", Core = "core" } default Full
}
choice! {
    DeviceChoice { Auto = "auto", Cpu = "cpu", Gpu = "gpu" } default Auto
}
choice! {
    /// The form in which the normalised data is stored.
    OutputFormat { Json = "json", Parquet = "parquet", Arrow = "arrow", Csv = "csv" } default Json
}
choice! {
    SourceFormat { Csv = "csv", Json = "json", Ndjson = "ndjson", Arrow = "arrow", Parquet = "parquet" } default Csv
}

/// Where the numbers are, when they do not come with the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    /// `file:…`, `s3://bucket/key` or `upload:ID`.
    pub uri: String,
    /// Found from the name and the first bytes when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SourceFormat>,
    /// All numeric columns when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

/// Settings of an Apache Spark application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SparkConfig {
    /// 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_instances: Option<u32>,
    /// `<number>[k|m|g]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_memory: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_cores: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle_partitions: Option<u32>,
}

/// The settings of a job as they were asked for, with defaults filled in. Inline numbers travel
/// beside it, as [`InlineTable`], and are stored as Arrow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// A condition in SQL; only rows for which it holds are processed.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Expressions in SQL; with them, nothing else is processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Vec<String>>,
    /// A whole query over the table `source`, instead of the two before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    #[serde(default)]
    pub normalization: Normalization,
    #[serde(default)]
    pub pipeline_type: PipelineType,
    #[serde(default)]
    pub engine: EngineChoice,
    #[serde(default)]
    pub statistics: StatisticsLevel,
    #[serde(default)]
    pub device: DeviceChoice,
    /// Whether the normalisation stage is timed on both devices.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compare_devices: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_config: Option<SparkConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<OutputFormat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// Seconds within which the job has to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<f64>,
}

impl JobRequest {
    /// Whether rows or columns are derived by a query from those of the source.
    pub fn derives(&self) -> bool {
        self.condition.is_some() || self.select.is_some() || self.sql.is_some()
    }
}

/// Numbers that came inside a request: named columns of equal length, NaN for a missing value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InlineTable {
    pub columns: Vec<InlineColumn>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct InlineColumn {
    pub name: String,
    pub values: Vec<f64>,
    /// Integers that lost digits on their way to f64.
    pub inexact_integers: u64,
}

impl InlineTable {
    /// Rows × columns.
    pub fn elements(&self) -> u64 {
        self.columns.iter().map(|c| c.values.len() as u64).sum()
    }
}
