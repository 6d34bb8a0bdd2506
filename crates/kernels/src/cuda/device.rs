//! A card as a safe place: its context, streams, events, memory and launches, each cleaned up by its owner.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::GpuError;
use super::driver::{Calls, DriverFault, Handle, Pointer};

/// `CU_STREAM_NON_BLOCKING`: not held up by the stream that every process has.
const NON_BLOCKING: u32 = 1;

/// Threads of every thread block, as in cuda/words.cuh.
const THREADS: u32 = 256;

/// A card with the context that all of this process uses.
pub(super) struct Device {
    calls: &'static Calls,
    context: Handle,
    /// The first fault that was not a lack of memory: the context cannot be trusted after it.
    lost: OnceLock<DriverFault>,
}

// SAFETY: a context may be made current in any thread, and the driver's calls may be made from any.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    pub fn new(calls: &'static Calls, ordinal: c_int) -> Result<Device, DriverFault> {
        let mut context = std::ptr::null_mut();
        // SAFETY: the driver writes a handle, which is kept until the process ends.
        let code = unsafe { (calls.retain_context)(&mut context, ordinal) };
        calls.check("cuDevicePrimaryCtxRetain", code)?;
        Ok(Device { calls, context, lost: OnceLock::new() })
    }

    /// Makes a call in the context of the device.
    pub fn call(&self, name: &'static str, call: impl FnOnce(&Calls) -> c_int) -> Result<(), GpuError> {
        if let Some(fault) = self.lost.get() {
            return Err(GpuError::Lost(fault.clone()));
        }
        // SAFETY: the context is kept until the process ends.
        let current = unsafe { (self.calls.set_context)(self.context) };
        let made = self.calls.check("cuCtxSetCurrent", current);
        let fault = match made.and_then(|()| self.calls.check(name, call(self.calls))) {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        if fault.is_out_of_memory() {
            return Err(GpuError::OutOfMemory);
        }
        Err(GpuError::Lost(self.lost.get_or_init(|| fault).clone()))
    }

    /// Whether a fault has ended the use of this device.
    pub fn lost(&self) -> Option<&DriverFault> {
        self.lost.get()
    }

    /// Bytes that are free, and all bytes.
    pub fn memory(&self) -> Result<(u64, u64), GpuError> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: the driver writes two sizes.
        self.call("cuMemGetInfo_v2", |c| unsafe { (c.memory_info)(&mut free, &mut total) })?;
        Ok((free as u64, total as u64))
    }

    /// A kernel of compiled code, by its names in order.
    pub fn kernels(
        &self,
        code: &'static [u8],
        names: &[&'static std::ffi::CStr],
    ) -> Result<Vec<Kernel>, GpuError> {
        // At an address for words, which a part of the embedded image need not have.
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_ne_bytes(word)
        };
        let code: Vec<u64> = code.chunks(8).map(word).collect();
        let mut module = std::ptr::null_mut();
        // SAFETY: the code is whole, by its image's own lengths; the driver copies it, and the module stays loaded.
        self.call("cuModuleLoadData", |c| unsafe { (c.load_module)(&mut module, code.as_ptr().cast()) })?;
        let kernel = |name: &&'static std::ffi::CStr| {
            let mut function = std::ptr::null_mut();
            // SAFETY: the module is loaded and the name ends with a 0.
            self.call("cuModuleGetFunction", |c| unsafe {
                (c.function)(&mut function, module, name.as_ptr())
            })?;
            Ok(Kernel(function))
        };
        names.iter().map(kernel).collect()
    }
}

/// A compiled kernel of a loaded module.
#[derive(Clone, Copy)]
pub(super) struct Kernel(Handle);

// SAFETY: a function's handle is used by any thread in which its context is current.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

/// Work in order; what is in different streams goes on side by side.
pub(super) struct Stream {
    pub device: Arc<Device>,
    handle: Handle,
}

// SAFETY: as with kernels.
unsafe impl Send for Stream {}
// SAFETY: as with kernels.
unsafe impl Sync for Stream {}

impl Stream {
    pub fn new(device: &Arc<Device>) -> Result<Arc<Stream>, GpuError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the driver writes a handle, which is given back when the stream is dropped.
        device.call("cuStreamCreate", |c| unsafe { (c.create_stream)(&mut handle, NON_BLOCKING) })?;
        Ok(Arc::new(Stream { device: device.clone(), handle }))
    }

    pub fn synchronize(&self) -> Result<(), GpuError> {
        // SAFETY: the stream is there.
        self.device.call("cuStreamSynchronize", |c| unsafe { (c.synchronize_stream)(self.handle) })
    }

    /// A mark behind all work that is in the stream now.
    pub fn mark(&self) -> Result<Event, GpuError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the driver writes a handle, which is given back when the event is dropped.
        self.device.call("cuEventCreate", |c| unsafe { (c.create_event)(&mut handle, 0) })?;
        let event = Event { device: self.device.clone(), handle };
        // SAFETY: both are there.
        self.device.call("cuEventRecord", |c| unsafe { (c.record_event)(event.handle, self.handle) })?;
        Ok(event)
    }

    /// Holds what is put into this stream from now on until the event has come.
    pub fn wait_for(&self, event: &Event) -> Result<(), GpuError> {
        // SAFETY: both are there.
        self.device.call("cuStreamWaitEvent", |c| unsafe { (c.wait_event)(self.handle, event.handle, 0) })
    }

    /// Starts a kernel on `blocks` thread blocks.
    ///
    /// # Safety
    /// The arguments are those of the kernel, in number, order and size, and what they point to stays there until the
    /// stream has been synchronised with.
    pub unsafe fn launch(
        &self,
        kernel: Kernel,
        blocks: u32,
        shared: u32,
        arguments: &[Argument],
    ) -> Result<(), GpuError> {
        let (stream, none) = (self.handle, std::ptr::null_mut());
        let mut addresses: Vec<*mut c_void> =
            arguments.iter().map(|argument| argument.0.as_ptr().cast_mut().cast()).collect();
        self.device.call("cuLaunchKernel", |c| {
            // SAFETY: the caller's promise; arguments are copied before the call returns.
            unsafe {
                (c.launch)(
                    kernel.0,
                    blocks,
                    1,
                    1,
                    THREADS,
                    1,
                    1,
                    shared,
                    stream,
                    addresses.as_mut_ptr(),
                    none,
                )
            }
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.synchronize();
        // SAFETY: nobody uses it any more.
        let _ = self.device.call("cuStreamDestroy_v2", |c| unsafe { (c.destroy_stream)(self.handle) });
    }
}

/// A mark in a stream.
pub(super) struct Event {
    device: Arc<Device>,
    handle: Handle,
}

// SAFETY: as with kernels.
unsafe impl Send for Event {}

impl Event {
    pub fn synchronize(&self) -> Result<(), GpuError> {
        // SAFETY: the event is there.
        self.device.call("cuEventSynchronize", |c| unsafe { (c.synchronize_event)(self.handle) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: nobody uses it any more; the driver lets work end that still refers to it.
        let _ = self.device.call("cuEventDestroy_v2", |c| unsafe { (c.destroy_event)(self.handle) });
    }
}

/// Words that an argument of a kernel takes at most.
const ARGUMENT_WORDS: usize = 8;

/// An argument of a kernel, by value.
pub(super) struct Argument([u64; ARGUMENT_WORDS]);

impl Argument {
    pub fn of<T: Copy>(value: T) -> Argument {
        const { assert!(size_of::<T>() <= 8 * ARGUMENT_WORDS && align_of::<T>() <= align_of::<u64>()) };
        let mut words = [0; ARGUMENT_WORDS];
        // SAFETY: there is room for the value, and a place for words is one for anything that is not aligned more.
        unsafe { words.as_mut_ptr().cast::<T>().write(value) };
        Argument(words)
    }
}

/// What may be copied between host and device byte by byte.
///
/// # Safety
/// Any bytes are a value, and there is no padding.
pub(super) unsafe trait Plain: Copy + Send + 'static {}
// SAFETY: numbers.
unsafe impl Plain for f64 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: two numbers of eight bytes each.
unsafe impl Plain for Slot {}

/// A block of rows among the values of a batch, as the kernels read it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub(super) struct Slot {
    pub first: u64,
    pub rows: u64,
}

/// Memory of the device, taken from its pool and given back in the order of a stream.
pub(super) struct DeviceBuffer<T> {
    stream: Arc<Stream>,
    pointer: Pointer,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Plain> DeviceBuffer<T> {
    /// Room whose content is not defined.
    pub fn new(stream: &Arc<Stream>, len: usize) -> Result<DeviceBuffer<T>, GpuError> {
        let bytes = len.max(1).checked_mul(size_of::<T>()).ok_or(GpuError::OutOfMemory)?;
        let mut pointer = 0;
        // SAFETY: the driver writes an address, which is given back when the buffer is dropped.
        let allocate = |c: &Calls| unsafe { (c.allocate)(&mut pointer, bytes, stream.handle) };
        stream.device.call("cuMemAllocAsync", allocate)?;
        Ok(DeviceBuffer { stream: stream.clone(), pointer, len, of: PhantomData })
    }

    /// Room that is filled with one byte.
    pub fn filled(stream: &Arc<Stream>, len: usize, byte: u8) -> Result<DeviceBuffer<T>, GpuError> {
        let buffer = DeviceBuffer::new(stream, len)?;
        let bytes = len * size_of::<T>();
        if bytes > 0 {
            // SAFETY: the buffer has as many bytes.
            stream.device.call("cuMemsetD8Async", |c| unsafe {
                (c.set_bytes)(buffer.pointer, byte, bytes, stream.handle)
            })?;
        }
        Ok(buffer)
    }

    /// What is uploaded is there when this returns.
    pub fn of(stream: &Arc<Stream>, content: &[T]) -> Result<DeviceBuffer<T>, GpuError> {
        let buffer = DeviceBuffer::new(stream, content.len())?;
        // SAFETY: the content outlives the copy, which is waited for.
        unsafe { buffer.copy_in(stream, content.as_ptr(), content.len())? };
        stream.synchronize()?;
        Ok(buffer)
    }

    pub fn pointer(&self) -> Pointer {
        self.pointer
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts a copy from host memory to the front of the buffer into a stream.
    ///
    /// # Safety
    /// The host memory is there and unchanged until the stream has been synchronised with.
    pub unsafe fn copy_in(&self, stream: &Stream, from: *const T, len: usize) -> Result<(), GpuError> {
        assert!(len <= self.len, "a copy fits into its buffer");
        if len == 0 {
            return Ok(());
        }
        let bytes = len * size_of::<T>();
        self.stream.device.call("cuMemcpyHtoDAsync_v2", |c| {
            // SAFETY: the buffer is long enough; the rest is the caller's promise.
            unsafe { (c.copy_in)(self.pointer, from.cast(), bytes, stream.handle) }
        })
    }

    /// Puts a copy from the front of the buffer to host memory into a stream.
    ///
    /// # Safety
    /// The host memory is there and not read until the stream has been synchronised with.
    pub unsafe fn copy_out(&self, stream: &Stream, to: *mut T, len: usize) -> Result<(), GpuError> {
        assert!(len <= self.len, "a copy fits into its buffer");
        if len == 0 {
            return Ok(());
        }
        let bytes = len * size_of::<T>();
        self.stream.device.call("cuMemcpyDtoHAsync_v2", |c| {
            // SAFETY: the buffer is long enough; the rest is the caller's promise.
            unsafe { (c.copy_out)(to.cast(), self.pointer, bytes, stream.handle) }
        })
    }

    /// The first `len` elements, once all work in the stream is done.
    pub fn download(&self, stream: &Stream, len: usize) -> Result<Vec<T>, GpuError> {
        let mut content: Vec<T> = Vec::with_capacity(len);
        // SAFETY: there is room for them, nobody reads it before the wait, and any bytes are values.
        unsafe {
            self.copy_out(stream, content.as_mut_ptr(), len)?;
            stream.synchronize()?;
            content.set_len(len);
        }
        Ok(content)
    }
}

impl<T> Drop for DeviceBuffer<T> {
    fn drop(&mut self) {
        let (pointer, stream) = (self.pointer, self.stream.handle);
        // SAFETY: it was allocated and nobody uses it any more; what the stream still does with it comes first.
        let _ = self.stream.device.call("cuMemFreeAsync", |c| unsafe { (c.free)(pointer, stream) });
    }
}

/// Host memory that the device reads and writes by itself.
pub(super) struct Pinned<T> {
    device: Arc<Device>,
    pointer: *mut T,
    len: usize,
}

// SAFETY: it is memory; who writes where is the owner's affair.
unsafe impl<T: Plain> Send for Pinned<T> {}

impl<T: Plain> Pinned<T> {
    pub fn new(device: &Arc<Device>, len: usize) -> Result<Pinned<T>, GpuError> {
        let bytes = len.max(1).checked_mul(size_of::<T>()).ok_or(GpuError::OutOfMemory)?;
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the driver writes an address, which is given back when the buffer is dropped.
        device.call("cuMemHostAlloc", |c| unsafe { (c.allocate_host)(&mut pointer, bytes, 0) })?;
        Ok(Pinned { device: device.clone(), pointer: pointer.cast(), len })
    }

    pub fn pointer(&self) -> *mut T {
        self.pointer
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: it was allocated and nobody uses it any more.
        let _ = self.device.call("cuMemFreeHost", |c| unsafe { (c.free_host)(self.pointer.cast()) });
    }
}
