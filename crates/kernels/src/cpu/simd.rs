//! Which vector instructions are used: the best that this processor has, found at run time.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of vector instructions. Results are the same bits with each; only the speed differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Instructions {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on aarch64.
    Portable,
    Avx2,
    Avx512,
}

/// The best set that may be used; lowered by tests and benchmarks only.
static ALLOWED: AtomicU8 = AtomicU8::new(Instructions::Avx512 as u8);

impl Instructions {
    pub const ALL: [Instructions; 3] = [Instructions::Portable, Instructions::Avx2, Instructions::Avx512];

    /// What this processor has.
    pub fn supported() -> Instructions {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi2");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if avx2 && avx512 {
                return Instructions::Avx512;
            }
            if avx2 {
                return Instructions::Avx2;
            }
        }
        Instructions::Portable
    }

    /// What is used: the lesser of what there is and what is allowed.
    #[inline]
    pub fn in_use() -> Instructions {
        let allowed = Instructions::ALL[usize::from(ALLOWED.load(Ordering::Relaxed))];
        allowed.min(Instructions::supported())
    }

    /// Holds the whole process to a set, for tests and benchmarks that compare sets.
    pub fn allow_at_most(self) {
        ALLOWED.store(self as u8, Ordering::Relaxed);
    }
}

/// Compiles one portable function for each set of instructions and calls the one in use.
///
/// The function, and what it calls for each row, must be `#[inline(always)]`: only then is it compiled
/// anew with the wider instructions. Rust never fuses or reorders floating-point operations on its own,
/// so that every version gives the same bits.
macro_rules! for_each_instruction_set {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $portable:path;) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::cpu::simd::Instructions;

                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
                fn with_avx512($($arg: $ty),*) $(-> $ret)? {
                    $portable($($arg),*)
                }

                #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
                fn with_avx2($($arg: $ty),*) $(-> $ret)? {
                    $portable($($arg),*)
                }

                match Instructions::in_use() {
                    // SAFETY: the processor has the instructions, as `Instructions::supported` found.
                    Instructions::Avx512 => return unsafe { with_avx512($($arg),*) },
                    // SAFETY: as above.
                    Instructions::Avx2 => return unsafe { with_avx2($($arg),*) },
                    Instructions::Portable => {}
                }
            }
            $portable($($arg),*)
        }
    };
}

pub(crate) use for_each_instruction_set;
