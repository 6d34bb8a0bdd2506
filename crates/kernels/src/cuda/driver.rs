//! NVIDIA's driver: its library, found while running, and the calls that are made to it.
//!
//! The library is opened by name and every call looked up, so that nothing has to be installed to build or start, and a
//! call that is missing is an answer and no panic.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

pub(super) type Handle = *mut c_void;
pub(super) type Pointer = u64;

/// A call to the driver that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverFault {
    pub call: &'static str,
    pub code: i32,
    /// The driver's name for the code.
    pub name: String,
}

/// `CUDA_ERROR_OUT_OF_MEMORY`.
const OUT_OF_MEMORY: i32 = 2;

impl DriverFault {
    pub fn is_out_of_memory(&self) -> bool {
        self.code == OUT_OF_MEMORY
    }
}

impl std::fmt::Display for DriverFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}) from {}", self.name, self.code, self.call)
    }
}

macro_rules! calls {
    ($($name:ident $symbol:literal ($($argument:ty),*);)*) => {
        /// The driver's calls.
        pub(super) struct Calls {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Calls {
            /// Looks all calls up; the name of one that the library does not have otherwise.
            fn of(library: &Library) -> Result<Calls, &'static str> {
                Ok(Calls {
                    $($name: {
                        let address = library.address(concat!($symbol, "\0")).ok_or($symbol)?;
                        // SAFETY: the driver's documentation gives this call these arguments and an int as its result.
                        unsafe {
                            std::mem::transmute::<Handle, unsafe extern "C" fn($($argument),*) -> c_int>(address)
                        }
                    },)*
                })
            }
        }
    };
}

calls! {
    init "cuInit" (c_uint);
    driver_version "cuDriverGetVersion" (*mut c_int);
    device_count "cuDeviceGetCount" (*mut c_int);
    device "cuDeviceGet" (*mut c_int, c_int);
    device_name "cuDeviceGetName" (*mut c_char, c_int, c_int);
    device_attribute "cuDeviceGetAttribute" (*mut c_int, c_int, c_int);
    device_memory "cuDeviceTotalMem_v2" (*mut usize, c_int);
    retain_context "cuDevicePrimaryCtxRetain" (*mut Handle, c_int);
    set_context "cuCtxSetCurrent" (Handle);
    memory_info "cuMemGetInfo_v2" (*mut usize, *mut usize);
    default_pool "cuDeviceGetDefaultMemPool" (*mut Handle, c_int);
    set_pool_attribute "cuMemPoolSetAttribute" (Handle, c_int, *mut c_void);
    create_stream "cuStreamCreate" (*mut Handle, c_uint);
    destroy_stream "cuStreamDestroy_v2" (Handle);
    synchronize_stream "cuStreamSynchronize" (Handle);
    wait_event "cuStreamWaitEvent" (Handle, Handle, c_uint);
    create_event "cuEventCreate" (*mut Handle, c_uint);
    destroy_event "cuEventDestroy_v2" (Handle);
    record_event "cuEventRecord" (Handle, Handle);
    synchronize_event "cuEventSynchronize" (Handle);
    allocate "cuMemAllocAsync" (*mut Pointer, usize, Handle);
    free "cuMemFreeAsync" (Pointer, Handle);
    allocate_host "cuMemHostAlloc" (*mut Handle, usize, c_uint);
    free_host "cuMemFreeHost" (Handle);
    copy_in "cuMemcpyHtoDAsync_v2" (Pointer, *const c_void, usize, Handle);
    copy_out "cuMemcpyDtoHAsync_v2" (*mut c_void, Pointer, usize, Handle);
    set_bytes "cuMemsetD8Async" (Pointer, u8, usize, Handle);
    load_module "cuModuleLoadData" (*mut Handle, *const c_void);
    function "cuModuleGetFunction" (*mut Handle, Handle, *const c_char);
    launch "cuLaunchKernel" (
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut Handle, *mut Handle
    );
    error_name "cuGetErrorName" (c_int, *mut *const c_char);
}

/// Why there are no calls to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoCalls {
    /// No library of that name.
    NoLibrary,
    /// The library has not this call: it is too old.
    Missing(&'static str),
}

/// The calls of the driver that is installed; looked for once.
pub(super) fn calls() -> Result<&'static Calls, NoCalls> {
    static CALLS: OnceLock<Result<Calls, NoCalls>> = OnceLock::new();
    let calls = CALLS.get_or_init(|| {
        let library = Library::open().ok_or(NoCalls::NoLibrary)?;
        Calls::of(&library).map_err(NoCalls::Missing)
    });
    calls.as_ref().map_err(Clone::clone)
}

impl Calls {
    /// The answer of a call.
    pub fn check(&self, call: &'static str, code: c_int) -> Result<(), DriverFault> {
        match code {
            0 => Ok(()),
            code => Err(DriverFault { call, code, name: self.name_of(code) }),
        }
    }

    fn name_of(&self, code: c_int) -> String {
        let mut name = std::ptr::null();
        // SAFETY: the driver writes the address of a text that it keeps.
        let answer = unsafe { (self.error_name)(code, &mut name) };
        if answer != 0 || name.is_null() {
            return "CUDA error".into();
        }
        // SAFETY: as above; it ends with a 0.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }
}

/// An opened library, which stays open until the process ends: the driver does not bear being closed.
struct Library(#[cfg_attr(not(unix), expect(dead_code, reason = "there is none"))] Handle);

#[cfg(unix)]
impl Library {
    fn open() -> Option<Library> {
        let names = [c"libcuda.so.1", c"libcuda.so"];
        names.into_iter().find_map(|name| {
            // SAFETY: the name is a text that ends with a 0; what the library does when it is opened is NVIDIA's.
            let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            (!library.is_null()).then_some(Library(library))
        })
    }

    fn address(&self, symbol: &'static str) -> Option<Handle> {
        // SAFETY: the library is open and the symbol a text that ends with a 0.
        let address = unsafe { libc::dlsym(self.0, symbol.as_ptr().cast()) };
        (!address.is_null()).then_some(address)
    }
}

#[cfg(not(unix))]
impl Library {
    fn open() -> Option<Library> {
        None
    }

    fn address(&self, _: &'static str) -> Option<Handle> {
        None
    }
}
