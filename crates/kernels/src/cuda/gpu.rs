//! The card that is used: found, tried against the processor, and kept for the whole process.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Mutex, PoisonError};

use super::GpuError;
use super::device::{Device, Kernel, Stream};
use super::driver::{Calls, DriverFault, NoCalls, calls};
use super::feed::Lane;
use super::image::{OLDEST, part_for};
use super::normalize::Workspace;
use super::self_test::self_test;

/// The oldest driver that runs code of CUDA 12.
const OLDEST_DRIVER: c_int = 12_000;

/// `CU_DEVICE_ATTRIBUTE_*`.
const PROCESSORS: c_int = 16;
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
const RELEASE_THRESHOLD: c_int = 4;

/// Bytes that the pool keeps for the next batches instead of giving them back to the driver.
const KEPT_BYTES: u64 = 1 << 30;

/// What the driver says when a card is taken, or closed to new processes.
const UNAVAILABLE: i32 = 46;
const NO_DEVICE: i32 = 100;

/// Why there is no GPU to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    NoDriver,
    DriverTooOld {
        /// Major and minor version of the CUDA that it supports, where it says so.
        found: Option<(u32, u32)>,
    },
    NoDevice,
    /// Older than everything the kernels are compiled for.
    TooOldDevice {
        name: String,
        capability: (u32, u32),
    },
    /// In use by somebody who does not share it, or without memory for even the smallest work.
    Busy {
        detail: String,
    },
    /// The driver reported a fault.
    Failed {
        detail: String,
    },
    /// It computes something else than the processor.
    SelfTestFailed {
        detail: String,
    },
}

impl Unavailable {
    /// A short name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Unavailable::NoDriver => "no_driver",
            Unavailable::DriverTooOld { .. } => "driver_too_old",
            Unavailable::NoDevice => "no_device",
            Unavailable::TooOldDevice { .. } => "device_too_old",
            Unavailable::Busy { .. } => "busy",
            Unavailable::Failed { .. } => "failed",
            Unavailable::SelfTestFailed { .. } => "self_test_failed",
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Unavailable::NoDriver => Some("install NVIDIA's driver; nothing else is needed"),
            Unavailable::DriverTooOld { .. } => Some("install driver 525 or later"),
            Unavailable::NoDevice => Some("nvidia-smi shows which cards the driver sees"),
            Unavailable::Busy { .. } => Some("nvidia-smi shows who uses the card"),
            Unavailable::SelfTestFailed { .. } => Some("please report it with the output of nvidia-smi"),
            Unavailable::TooOldDevice { .. } | Unavailable::Failed { .. } => None,
        }
    }
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unavailable::NoDriver => f.write_str("there is no GPU to use: NVIDIA's driver is not installed"),
            Unavailable::DriverTooOld { found: Some((major, minor)) } => {
                write!(f, "the driver supports CUDA {major}.{minor}, and 12.0 is needed")
            }
            Unavailable::DriverTooOld { found: None } => f.write_str("the driver is older than CUDA 12.0"),
            Unavailable::NoDevice => f.write_str("the driver sees no GPU"),
            Unavailable::TooOldDevice { name, capability: (major, minor) } => {
                write!(
                    f,
                    "{name} has compute capability {major}.{minor}, and 7.0 is the oldest that is supported"
                )
            }
            Unavailable::Busy { detail } => write!(f, "the GPU is busy: {detail}"),
            Unavailable::Failed { detail } => write!(f, "the GPU does not answer: {detail}"),
            Unavailable::SelfTestFailed { detail } => write!(f, "the GPU's self-test failed: {detail}"),
        }
    }
}

/// What is known of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInfo {
    pub name: String,
    /// Major and minor compute capability.
    pub capability: (u32, u32),
    /// Major and minor version of the CUDA that the driver supports.
    pub driver: (u32, u32),
    pub memory_bytes: u64,
    /// Streaming multiprocessors.
    pub processors: u32,
}

/// How much of a card, and of the host for it, is taken at once.
#[derive(Clone, Copy, Debug)]
pub struct GpuOptions {
    /// Bytes of a batch; three of them are in flight.
    pub batch_bytes: u64,
    /// Share of the free memory that columns may be kept in between passes.
    pub resident_share: f64,
}

impl Default for GpuOptions {
    fn default() -> Self {
        GpuOptions { batch_bytes: 64 << 20, resident_share: 0.6 }
    }
}

macro_rules! kernels {
    ($($name:ident)*) => {
        /// The loaded kernels of cuda/caudal.cu.
        #[derive(Clone, Copy)]
        pub(super) struct Kernels {
            $(pub $name: Kernel,)*
        }

        impl Kernels {
            fn load(device: &Device, code: &'static [u8]) -> Result<Kernels, GpuError> {
                let names: &[&CStr] = &[$({
                    const NAME: &CStr =
                        match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => c"",
                        };
                    NAME
                }),*];
                let mut loaded = device.kernels(code, names)?.into_iter();
                Ok(Kernels { $($name: loaded.next().ok_or(GpuError::Wrong("a kernel is missing"))?,)* })
            }
        }
    };
}

kernels! {
    block_moments count_below count_and_gather count_and_normalize hash_rows tally_rows tally_most tally_mode
    normalize_rows widen_f32 widen_f64 pick_rows
}

/// A card that computes what the processor does.
pub struct Gpu {
    pub(super) device: Arc<Device>,
    pub(super) kernels: Kernels,
    pub(super) options: GpuOptions,
    /// Room for batches and for normalised rows that nobody uses now: pinned memory takes long to get.
    pub(super) lanes: Mutex<Vec<Lane>>,
    pub(super) workspaces: Mutex<Vec<Workspace>>,
    info: GpuInfo,
}

/// The card of this process, or why there is none.
static OPENED: Mutex<Option<Result<Arc<Gpu>, Unavailable>>> = Mutex::new(None);

impl Gpu {
    /// The first card that can be used, after a self-test at the first call; later calls give the same answer, unless the
    /// card was busy or has failed since.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open() -> Result<Arc<Gpu>, Unavailable> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(gpu)) = opened.as_ref()
            && let Some(fault) = gpu.device.lost()
        {
            return Err(Unavailable::Failed { detail: format!("{fault}; it is used again after a restart") });
        }
        if matches!(opened.as_ref(), None | Some(Err(Unavailable::Busy { .. }))) {
            *opened = Some(Gpu::connect(GpuOptions::default()).and_then(|gpu| {
                self_test(&gpu).map_err(|error| match error {
                    GpuError::OutOfMemory => Unavailable::Busy { detail: error.to_string() },
                    GpuError::Lost(fault) => failed(fault),
                    GpuError::Wrong(what) => Unavailable::SelfTestFailed { detail: what.into() },
                })?;
                Ok(gpu)
            }));
        }
        opened.clone().unwrap_or(Err(Unavailable::NoDriver))
    }

    /// The first card that can be used, without a self-test and for the caller alone.
    ///
    /// # Errors
    /// Why there is none.
    pub fn connect(options: GpuOptions) -> Result<Arc<Gpu>, Unavailable> {
        let calls = calls().map_err(|missing| match missing {
            NoCalls::NoLibrary => Unavailable::NoDriver,
            NoCalls::Missing(_) => Unavailable::DriverTooOld { found: None },
        })?;
        let driver = driver_version(calls)?;
        // SAFETY: it takes a number.
        calls.check("cuInit", unsafe { (calls.init)(0) }).map_err(failed)?;
        let mut oldest = Unavailable::NoDevice;
        for ordinal in 0..device_count(calls)? {
            let info = describe(calls, ordinal, driver)?;
            let (major, minor) = info.capability;
            match part_for(major * 10 + minor).filter(|_| major * 10 + minor >= OLDEST) {
                Some(part) => return Gpu::on(calls, ordinal, info, part.code, options),
                None => oldest = Unavailable::TooOldDevice { name: info.name, capability: info.capability },
            }
        }
        Err(oldest)
    }

    fn on(
        calls: &'static Calls,
        ordinal: c_int,
        info: GpuInfo,
        code: &'static [u8],
        options: GpuOptions,
    ) -> Result<Arc<Gpu>, Unavailable> {
        let device = Arc::new(Device::new(calls, ordinal).map_err(failed)?);
        let prepared = keep_memory(&device, ordinal).and_then(|()| Kernels::load(&device, code));
        let kernels = prepared.map_err(|error| match error {
            GpuError::OutOfMemory => Unavailable::Busy { detail: error.to_string() },
            GpuError::Lost(fault) => failed(fault),
            GpuError::Wrong(what) => Unavailable::Failed { detail: what.into() },
        })?;
        let (lanes, workspaces) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(Gpu { device, kernels, options, lanes, workspaces, info }))
    }

    pub fn info(&self) -> &GpuInfo {
        &self.info
    }

    /// Bytes of device memory that are free, as the driver says.
    ///
    /// # Errors
    /// Where the card has failed.
    pub fn free_bytes(&self) -> Result<u64, GpuError> {
        Ok(self.device.memory()?.0)
    }

    /// Values whose copies can be counted one by one at the same time, in a table in the free memory.
    ///
    /// # Errors
    /// Where the card has failed.
    pub fn held_values(&self) -> Result<u64, GpuError> {
        // Sixteen bytes for each of two to four slots for a value, in half of what is free.
        Ok((self.free_bytes()? / 2 / 64).max(1 << 10))
    }

    pub(super) fn stream(&self) -> Result<Arc<Stream>, GpuError> {
        Stream::new(&self.device)
    }

    /// Thread blocks that keep every multiprocessor busy, and no more than there is work for.
    pub(super) fn blocks(&self, work: u64) -> u32 {
        work.clamp(1, u64::from(self.info.processors) * 8) as u32
    }
}

fn failed(fault: DriverFault) -> Unavailable {
    match fault.code {
        UNAVAILABLE => Unavailable::Busy { detail: fault.to_string() },
        NO_DEVICE => Unavailable::NoDevice,
        _ if fault.is_out_of_memory() => Unavailable::Busy { detail: fault.to_string() },
        _ => Unavailable::Failed { detail: fault.to_string() },
    }
}

fn driver_version(calls: &Calls) -> Result<(u32, u32), Unavailable> {
    let mut version = 0;
    // SAFETY: the driver writes a number.
    calls.check("cuDriverGetVersion", unsafe { (calls.driver_version)(&mut version) }).map_err(failed)?;
    let found = ((version / 1000) as u32, (version % 1000 / 10) as u32);
    match version < OLDEST_DRIVER {
        true => Err(Unavailable::DriverTooOld { found: Some(found) }),
        false => Ok(found),
    }
}

fn device_count(calls: &Calls) -> Result<c_int, Unavailable> {
    let mut count = 0;
    // SAFETY: the driver writes a number.
    calls.check("cuDeviceGetCount", unsafe { (calls.device_count)(&mut count) }).map_err(failed)?;
    Ok(count)
}

fn describe(calls: &Calls, ordinal: c_int, driver: (u32, u32)) -> Result<GpuInfo, Unavailable> {
    let (mut device, mut memory) = (0, 0);
    let mut name = [0 as c_char; 128];
    // SAFETY: the driver writes a number, a text of at most the given length that ends with a 0, and a size.
    let answers = unsafe {
        [
            ("cuDeviceGet", (calls.device)(&mut device, ordinal)),
            ("cuDeviceGetName", (calls.device_name)(name.as_mut_ptr(), 127, device)),
            ("cuDeviceTotalMem_v2", (calls.device_memory)(&mut memory, device)),
        ]
    };
    for (call, code) in answers {
        calls.check(call, code).map_err(failed)?;
    }
    let attribute = |attribute: c_int| {
        let mut value = 0;
        // SAFETY: the driver writes a number.
        let code = unsafe { (calls.device_attribute)(&mut value, attribute, device) };
        calls.check("cuDeviceGetAttribute", code).map_err(failed)?;
        Ok(value.max(0) as u32)
    };
    let name: Vec<u8> = name.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    Ok(GpuInfo {
        name: String::from_utf8_lossy(&name).into_owned(),
        capability: (attribute(CAPABILITY_MAJOR)?, attribute(CAPABILITY_MINOR)?),
        driver,
        memory_bytes: memory as u64,
        processors: attribute(PROCESSORS)?.max(1),
    })
}

/// Lets the device's memory pool keep what is given back to it.
fn keep_memory(device: &Device, ordinal: c_int) -> Result<(), GpuError> {
    let mut pool = std::ptr::null_mut();
    // SAFETY: the driver writes a handle.
    device.call("cuDeviceGetDefaultMemPool", |c| unsafe { (c.default_pool)(&mut pool, ordinal) })?;
    let mut kept = KEPT_BYTES;
    // SAFETY: the attribute is a number of 64 bits.
    device.call("cuMemPoolSetAttribute", |c| unsafe {
        (c.set_pool_attribute)(pool, RELEASE_THRESHOLD, (&raw mut kept).cast())
    })
}
