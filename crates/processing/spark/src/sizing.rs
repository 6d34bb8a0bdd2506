//! How large an application is made, from what was asked, the data, the cores and the memory; and why.

use caudal_core::request::SparkConfig;

/// This machine, as far as Spark may use it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub cores: u32,
    /// Bytes that one job may take.
    pub memory: u64,
}

/// An application's size in Spark's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizing {
    pub master: String,
    pub driver_memory: String,
    /// Options of the driver's Java.
    pub java_options: String,
    pub conf: Vec<(&'static str, String)>,
    /// Cores that are expected.
    pub cores: u32,
    pub reasons: Vec<String>,
}

/// Where an application's executors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// In the driver, on this machine.
    Local,
    Standalone,
    /// YARN, Kubernetes: the cluster starts as many executors as are asked for.
    Managed,
}

impl Cluster {
    pub(crate) fn of(master: &str) -> Cluster {
        match master {
            m if m == "local" || m.starts_with("local[") => Cluster::Local,
            m if m.starts_with("spark://") => Cluster::Standalone,
            _ => Cluster::Managed,
        }
    }
}

/// Contract's bounds of `executor_instances`.
const MOST_INSTANCES: u64 = 10;

/// Bytes of a partition that are read in some seconds.
const PARTITION_BYTES: u64 = 128 << 20;

/// Tasks for each core, so that all are busy to the end.
const TASKS_PER_CORE: u64 = 3;

/// Below this Java's second compiler costs more than it brings.
const SMALL_BYTES: u64 = 256 << 20;

/// Only loops that run for seconds go to the second compiler, whose time is several times the first's.
const LOOPS_ONLY: &str = "-XX:Tier4InvocationThreshold=100000 -XX:Tier4MinInvocationThreshold=20000 \
    -XX:Tier4CompileThreshold=200000 -XX:Tier4BackEdgeThreshold=1000000";

const GIB: u64 = 1 << 30;

impl Sizing {
    /// For a source of so many bytes.
    pub fn of(master: &str, machine: Machine, asked: Option<&SparkConfig>, bytes: u64) -> Sizing {
        let asked = asked.cloned().unwrap_or_default();
        let mut sizing = match Cluster::of(master) {
            Cluster::Local => local(master, machine, &asked, bytes),
            Cluster::Standalone => standalone(master, machine, &asked),
            Cluster::Managed => managed(master, machine, &asked, bytes),
        };
        sizing.shuffle(&asked);
        sizing.conf.push(("spark.ui.enabled", "false".into()));
        sizing.conf.push(("spark.ui.showConsoleProgress", "false".into()));
        sizing
    }

    fn shuffle(&mut self, asked: &SparkConfig) {
        let (partitions, why) = match asked.shuffle_partitions {
            Some(asked) => (u64::from(asked), "as asked".to_owned()),
            None => {
                let why = format!(
                    "{TASKS_PER_CORE} for each of {} cores; adaptive execution joins small ones",
                    self.cores
                );
                (TASKS_PER_CORE * u64::from(self.cores), why)
            }
        };
        self.conf.push(("spark.sql.shuffle.partitions", partitions.to_string()));
        self.reasons.push(format!("{partitions} shuffle partitions: {why}"));
        self.conf.push(("spark.sql.autoBroadcastJoinThreshold", "-1".into()));
        self.reasons.push("no threshold for broadcasts: nothing is joined, and what one pass tells the next is always broadcast".into());
    }
}

/// One process that is driver and executor: instances and cores are cores of this machine.
fn local(master: &str, machine: Machine, asked: &SparkConfig, bytes: u64) -> Sizing {
    let instances = asked.executor_instances.unwrap_or(1);
    let (cores, why) = match (asked.executor_cores, named_cores(master)) {
        (Some(cores), _) => {
            let wanted = cores.saturating_mul(instances);
            (wanted.min(machine.cores), format!("{wanted} asked for, {} on this machine", machine.cores))
        }
        (None, Some(named)) => (named, format!("the master is {master}")),
        (None, None) => (machine.cores, "all of this machine's".into()),
    };
    let mut reasons = vec![format!("{cores} cores: {why}")];
    let (memory, why) = match asked.executor_memory.as_deref().map(bytes_of) {
        Some(each) => {
            let wanted = each.saturating_mul(u64::from(instances));
            (wanted.min(machine.memory.max(GIB)), "as asked, within what one job may take here".to_owned())
        }
        None => {
            let wanted = GIB + bytes.saturating_mul(2);
            (
                wanted.min(machine.memory.max(GIB)),
                "1 GB and twice the source, within what one job may take here".into(),
            )
        }
    };
    let driver_memory = megabytes(memory);
    reasons.push(format!("{driver_memory} of memory: {why}"));
    let collector = if cores > 2 { "-XX:+UseParallelGC" } else { "-XX:+UseSerialGC" };
    let compiler = if bytes < SMALL_BYTES { "-XX:TieredStopAtLevel=1" } else { LOOPS_ONLY };
    Sizing {
        master: format!("local[{cores}]"),
        driver_memory,
        java_options: format!("{collector} {compiler}"),
        conf: vec![("spark.driver.host", LOOPBACK.into()), ("spark.driver.bindAddress", LOOPBACK.into())],
        cores,
        reasons,
    }
}

const LOOPBACK: &str = "127.0.0.1";

/// Workers offer what they have; what is not asked for is left to them.
fn standalone(master: &str, machine: Machine, asked: &SparkConfig) -> Sizing {
    let instances = asked.executor_instances.unwrap_or(2);
    let mut conf = Vec::new();
    let mut reasons = Vec::new();
    match asked.executor_memory.as_deref() {
        Some(memory) => {
            conf.push(("spark.executor.memory", in_megabytes(memory)));
            reasons.push(format!("{memory} for each executor: as asked"));
        }
        None => {
            reasons.push("1 GB for each executor: Spark's own default, since workers differ in size".into())
        }
    }
    let each = asked.executor_cores;
    if let Some(cores) = each {
        conf.push(("spark.executor.cores", cores.to_string()));
    }
    let cores = instances.saturating_mul(each.unwrap_or(1));
    if asked.executor_instances.is_some() || each.is_some() {
        conf.push(("spark.cores.max", cores.to_string()));
        reasons.push(format!("at most {cores} cores: {instances} executors as asked"));
    } else {
        reasons.push("one executor on each worker with all of its cores: nothing was asked for".into());
    }
    if ["//127.", "//localhost"].iter().any(|host| master.contains(host)) {
        conf.push(("spark.driver.host", LOOPBACK.into()));
        conf.push(("spark.driver.bindAddress", LOOPBACK.into()));
    }
    clustered(master, machine, conf, cores, reasons)
}

fn managed(master: &str, machine: Machine, asked: &SparkConfig, bytes: u64) -> Sizing {
    let each = asked.executor_cores.unwrap_or(2);
    let (instances, why) = match asked.executor_instances {
        Some(asked) => (asked, "as asked".to_owned()),
        None => {
            let tasks = bytes.div_ceil(PARTITION_BYTES);
            let wanted = tasks.div_ceil(TASKS_PER_CORE * u64::from(each)).clamp(1, MOST_INSTANCES);
            (
                wanted as u32,
                format!("{TASKS_PER_CORE} tasks of 128 MB for each core, {MOST_INSTANCES} at most"),
            )
        }
    };
    let memory = asked.executor_memory.as_deref().unwrap_or("2g");
    let reasons = vec![
        format!("{instances} executors: {why}"),
        format!(
            "{each} cores and {memory} for each executor: {}",
            match asked.executor_memory {
                Some(_) => "as asked",
                None => "1 GB for each core",
            }
        ),
    ];
    let conf = vec![
        ("spark.executor.instances", instances.to_string()),
        ("spark.executor.cores", each.to_string()),
        ("spark.executor.memory", in_megabytes(memory)),
    ];
    clustered(master, machine, conf, instances.saturating_mul(each), reasons)
}

fn clustered(
    master: &str,
    machine: Machine,
    conf: Vec<(&'static str, String)>,
    cores: u32,
    mut reasons: Vec<String>,
) -> Sizing {
    // The driver merges states and holds none of the data.
    let driver_memory = megabytes((2 * GIB).min(machine.memory.max(GIB)));
    reasons.push(format!("{driver_memory} for the driver: it merges states and holds no data"));
    let mut conf = conf;
    conf.push(("spark.executor.extraJavaOptions", "-XX:+UseParallelGC".into()));
    Sizing {
        master: master.into(),
        driver_memory,
        java_options: "-XX:+UseSerialGC".into(),
        conf,
        cores,
        reasons,
    }
}

/// `local[4]` → 4; `local` is one core, and `local[*]` names none.
fn named_cores(master: &str) -> Option<u32> {
    match master.strip_prefix("local")?.strip_prefix('[') {
        None => Some(1),
        Some(rest) => rest.split([',', ']']).next()?.parse().ok(),
    }
}

/// `<number>[k|m|g]` in bytes; a number alone is bytes, as the contract's bounds have been checked before.
fn bytes_of(text: &str) -> u64 {
    let (digits, factor) = match text.as_bytes().last().map(u8::to_ascii_lowercase) {
        Some(b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'g') => (&text[..text.len() - 1], GIB),
        _ => (text, 1),
    };
    digits.parse::<u64>().unwrap_or(0).saturating_mul(factor)
}

/// Spark refuses executors below 450 MB, and takes whole megabytes.
fn megabytes(bytes: u64) -> String {
    format!("{}m", (bytes >> 20).max(512))
}

fn in_megabytes(text: &str) -> String {
    megabytes(bytes_of(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { cores: 4, memory: 8 * GIB };

    fn value<'s>(sizing: &'s Sizing, key: &str) -> Option<&'s str> {
        sizing.conf.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn on_this_machine_the_data_decides_the_memory_within_the_limit() {
        let small = Sizing::of("local[*]", MACHINE, None, 10 << 20);
        assert_eq!((small.master.as_str(), small.driver_memory.as_str()), ("local[4]", "1044m"));
        assert!(small.java_options.contains("TieredStopAtLevel"));
        let large = Sizing::of("local[2]", MACHINE, None, 100 * GIB);
        assert_eq!((large.master.as_str(), large.driver_memory.as_str()), ("local[2]", "8192m"));
        assert!(!large.java_options.contains("TieredStopAtLevel"));
        assert_eq!(large.reasons.len(), 4, "{:?}", large.reasons);
    }

    #[test]
    fn what_is_asked_is_honoured_and_bounded_by_the_machine() {
        let asked = SparkConfig {
            executor_instances: Some(3),
            executor_memory: Some("4g".into()),
            executor_cores: Some(2),
            shuffle_partitions: Some(64),
        };
        let here = Sizing::of("local[*]", MACHINE, Some(&asked), 0);
        assert_eq!((here.master.as_str(), here.driver_memory.as_str()), ("local[4]", "8192m"));
        assert_eq!(value(&here, "spark.sql.shuffle.partitions"), Some("64"));
        let there = Sizing::of("spark://host:7077", MACHINE, Some(&asked), 0);
        assert_eq!(value(&there, "spark.cores.max"), Some("6"));
        assert_eq!(value(&there, "spark.executor.memory"), Some("4096m"));
        let managed = Sizing::of("yarn", MACHINE, Some(&asked), 0);
        assert_eq!(value(&managed, "spark.executor.instances"), Some("3"));
        assert_eq!(managed.cores, 6);
    }

    #[test]
    fn a_managed_cluster_grows_with_the_data_up_to_ten_executors() {
        let instances = |bytes| {
            let sizing = Sizing::of("k8s://https://host", MACHINE, None, bytes);
            value(&sizing, "spark.executor.instances").map(str::to_owned)
        };
        assert_eq!(instances(1).as_deref(), Some("1"));
        assert_eq!(instances(4 * GIB).as_deref(), Some("6"));
        assert_eq!(instances(u64::MAX).as_deref(), Some("10"));
    }
}
