//! The compiled kernels that the product carries, and the part of them that a card can run.
//!
//! `cuda/compile.py` makes the image; its first lines say of which sources, and which parts it has.

/// What compile.py wrote.
static IMAGE: &[u8] = include_bytes!("../../cuda/caudal.image");

/// The oldest architecture that the kernels are compiled for: Volta.
pub(super) const OLDEST: u32 = 70;

/// Machine code for one architecture, or PTX, which the driver compiles for whatever card there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub is_ptx: bool,
    /// Compute capability, times ten.
    pub architecture: u32,
    pub code: &'static [u8],
}

/// The hash of the sources that the image was made of, as compile.py forms it.
pub fn image_sources() -> &'static str {
    let lines = head().lines();
    lines.filter_map(|line| line.strip_prefix("sources ")).next().unwrap_or_default()
}

/// All parts, in their order.
pub fn image_parts() -> Vec<Part> {
    let mut at = head().len() + 2;
    let mut parts = Vec::new();
    for line in head().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let &[kind @ ("cubin" | "ptx"), architecture, length] = words.as_slice() else { continue };
        let (Ok(architecture), Ok(length)) = (architecture.parse(), length.parse::<usize>()) else {
            continue;
        };
        let Some(code) = IMAGE.get(at..at + length) else { break };
        parts.push(Part { is_ptx: kind == "ptx", architecture, code });
        at += length;
    }
    parts
}

/// What a card of a compute capability (times ten) runs: machine code for it or an earlier one of the same
/// generation, and PTX otherwise. None for cards older than all of them.
pub(super) fn part_for(capability: u32) -> Option<Part> {
    let parts = image_parts();
    let runs = |part: &&Part| part.architecture / 10 == capability / 10 && part.architecture <= capability;
    let machine = parts.iter().filter(|part| !part.is_ptx).filter(runs).max_by_key(|part| part.architecture);
    let ptx = || parts.iter().find(|part| part.is_ptx && part.architecture <= capability);
    machine.or_else(ptx).copied()
}

/// The lines before the first empty one.
fn head() -> &'static str {
    let end = IMAGE.windows(2).position(|pair| pair == b"\n\n").unwrap_or(0);
    std::str::from_utf8(&IMAGE[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_runs_code_of_its_own_generation_and_ptx_where_there_is_none() {
        let runs = |capability| part_for(capability).map(|part| (part.is_ptx, part.architecture));
        assert_eq!(runs(90), Some((false, 90)));
        assert_eq!(runs(87), Some((false, 86)));
        assert_eq!(runs(103), Some((false, 100)));
        assert_eq!(runs(130), Some((true, 70)));
        assert_eq!(runs(61), None);
    }

    #[test]
    fn every_part_is_whole() {
        let parts = image_parts();
        let total: usize = parts.iter().map(|part| part.code.len()).sum();
        assert_eq!(head().len() + 2 + total, IMAGE.len());
        assert!(parts.iter().all(|part| part.is_ptx || part.code.starts_with(b"\x7fELF")));
        assert_eq!(parts.len(), 9);
    }
}
